#[derive(serde::Serialize)]
struct User;

async fn f(client: redis_rest::Client, user: User) -> redis_rest::Result<()> {
    client.set("user:1", &user).await
}

fn main() {}
