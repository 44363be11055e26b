async fn f(client: redis_rest::Client) -> redis_rest::Result<bool> {
    client.expire_at("name", 1_700_000_000).await
}

fn main() {}
