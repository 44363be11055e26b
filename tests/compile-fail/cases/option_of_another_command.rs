async fn f(client: redis_rest::Client) -> redis_rest::Result<u64> {
    client.hset("user:1", [("name", "Ada")]).nx().await
}

fn main() {}
