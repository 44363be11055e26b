fn f(client: &redis_rest::Client) {
    tokio::spawn(async { client.incr("visits").await });
}

fn main() {}
