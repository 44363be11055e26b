async fn f(client: redis_rest::Client, email: Option<&str>) -> redis_rest::Result<u64> {
    client.hset("user:1", [("name", Some("Ada")), ("email", email)]).await
}

fn main() {}
