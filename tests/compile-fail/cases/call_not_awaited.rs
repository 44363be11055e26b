#![deny(unused_must_use)]

async fn f(client: redis_rest::Client) {
    client.set("name", "Ada").nx();
    client.incr("visits");
}

fn main() {}
