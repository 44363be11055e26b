async fn f(client: redis_rest::Client) -> redis_rest::Result<String> {
    client.get(Some("name")).await
}

fn main() {}
