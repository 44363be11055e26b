async fn f(client: redis_rest::Client) -> redis_rest::Result<()> {
    let mut pipe = client.pipeline();
    let name = pipe.add(client.get::<String>("name"));
    pipe.send().await?;
    Ok(())
}

fn main() {}
