#[derive(serde::Deserialize)]
struct User;

async fn f(client: redis_rest::Client) -> redis_rest::Result<()> {
    client.get::<User>("user:1").await?;
    Ok(())
}

fn main() {}
