async fn f(client: redis_rest::Client) -> redis_rest::Result<()> {
    client.set("user:1", serde_json::json!({ "name": "Ada" })).await
}

fn main() {}
