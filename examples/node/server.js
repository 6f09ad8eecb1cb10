import express from "express";
import { hostname } from "node:os";

const app = express();
let served = 0;

app.get("/", (_req, res) => {
  served += 1;
  console.log(`request ${served}`);
  res.type("text").send(`Hello from Node ${process.version} on ${hostname()}\n`);
});

app.get("/env/:name", (req, res) => {
  res.type("text").send(`${process.env[req.params.name] ?? ""}\n`);
});

const server = app.listen(process.env.PORT ?? 8080, () => console.log(`listening on ${server.address().port}`));

process.on("SIGTERM", () => server.close(() => process.exit(0)));
