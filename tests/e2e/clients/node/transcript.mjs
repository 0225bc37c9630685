// Drives node-postgres and postgres.js through what an application does, and prints what they saw.
// Run against the server and through the gateway, the two transcripts must be equal.
import pg from "pg";
import Cursor from "pg-cursor";
import postgres from "postgres";

const transcript = {};
const tls = process.env.PGSSLMODE === "require" ? { rejectUnauthorized: false } : false;

async function check(name, run) {
  try {
    transcript[name] = await run();
  } catch (error) {
    transcript[name] = { error: String(error), code: error.code ?? null };
  }
}

const client = new pg.Client({ ssl: tls });
await client.connect();
await check("pg simple", async () => (await client.query("SELECT id, name FROM customers WHERE id < 4 ORDER BY id")).rows);
await check("pg extended", async () =>
  (await client.query("SELECT id, city FROM customers WHERE id <= $1 ORDER BY id", [3])).rows);
await check("pg prepared", async () => {
  const seen = [];
  for (const n of [1, 2, 3]) {
    seen.push((await client.query({ name: "by-id", text: "SELECT name FROM customers WHERE id = $1", values: [n] })).rows);
  }
  return seen;
});
await check("pg cursor", async () => {
  const cursor = client.query(new Cursor("SELECT id FROM orders ORDER BY id"));
  const one = await cursor.read(10);
  const two = await cursor.read(10);
  await cursor.close();
  return [one.length, two[9].id];
});
await check("pg transaction", async () => {
  await client.query("BEGIN");
  await client.query("UPDATE orders SET note = $1 WHERE id = $2", ["n", 2]);
  const inside = (await client.query("SELECT note FROM orders WHERE id = 2")).rows;
  await client.query("ROLLBACK");
  return [inside, (await client.query("SELECT note FROM orders WHERE id = 2")).rows];
});
await check("pg error", async () => client.query("SELECT * FROM no_such_table"));
await check("pg alive", async () => (await client.query("SELECT 1 AS one")).rows);
await check("pg multi", async () => (await client.query("SELECT 1 AS a; SELECT 2 AS b")).map((r) => r.rows));
await client.end();

const sql = postgres({
  host: process.env.PGHOST,
  port: Number(process.env.PGPORT),
  user: process.env.PGUSER,
  pass: process.env.PGPASSWORD,
  password: process.env.PGPASSWORD,
  database: process.env.PGDATABASE,
  ssl: tls,
  max: 1,
  onnotice: () => {},
});
await check("postgres.js", async () => [...(await sql`SELECT id, name FROM customers WHERE id <= ${3} ORDER BY id`)]);
await check("postgres.js pipelined", async () =>
  Promise.all([1, 2, 3, 4].map(async (n) => (await sql`SELECT ${n}::int AS n`)[0].n)));
await check("postgres.js transaction", async () =>
  sql.begin(async (tx) => [...(await tx`SELECT count(*)::int AS n FROM orders`)]));
await check("postgres.js error", async () => sql`SELECT * FROM no_such_table`);
await sql.end();

console.log(JSON.stringify(transcript, null, 1));
