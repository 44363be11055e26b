// What examples/first_reply.rs does, by the official JavaScript client. benches/cold_start.rs runs it.

import { Redis } from "@upstash/redis";

const redis = new Redis({ url: process.env.REDIS_REST_URL, token: process.env.REDIS_REST_TOKEN });
const value = await redis.get("first-reply");
console.log(`first reply; there is a value: ${value !== null}`);
