async fn f(client: redis_rest::Client) -> redis_rest::Result<u64> {
    client.del(vec![vec!["a", "b"], vec!["c"]]).await
}

fn main() {}
