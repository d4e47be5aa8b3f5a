/** Requests against a server that misbehaves: what passes is tried again from the byte where it stopped, what does not is told. */
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { httpSource } from "../../src/formats/http.ts";
import { HttpClient, type HttpOptions } from "../../src/formats/http-client.ts";
import { HttpFile } from "../../src/formats/http-file.ts";
import { PassingFailure, RETRY_POLICY, retryAfterMs, StallWatch, sleep, Tries } from "../../src/formats/retry.ts";
import { refused } from "./refused.ts";

const test = suite("http faults");
const content = Uint8Array.from({ length: 200_000 }, (_, i) => (i * 31) % 251);
const quick: HttpOptions = { retry: { firstDelayMs: 1, longestDelayMs: 2 } };
const seen: string[] = [];
let answer: RequestListener;
let servers: Server[];
let base: string;
let other: string;

async function listen(): Promise<[Server, string]> {
  const server = createServer((request, response) => {
    seen.push(`${request.headers.host} ${request.url} ${request.headers.range} ${request.headers.authorization ?? "-"}`);
    answer(request, response);
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  return [server, `http://127.0.0.1:${(server.address() as AddressInfo).port}`];
}
test.before(async () => {
  const [first, second] = [await listen(), await listen()];
  servers = [first[0], second[0]];
  base = first[1];
  other = second[1];
});
test.after(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});
test.before.each(() => {
  seen.length = 0;
});

function range(request: IncomingMessage): [first: number, end: number] {
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range!)!;
  return [Number(first), Number(last) + 1];
}
function serve(request: IncomingMessage, response: ServerResponse): void {
  const [first, end] = range(request);
  const headers = { "content-range": `bytes ${first}-${end - 1}/${content.length}`, "content-length": end - first };
  response.writeHead(206, headers).end(content.subarray(first, end));
}
/** `faults` in turn for everything but the first byte, then right answers. */
function faulty(...faults: RequestListener[]): void {
  answer = (request, response) => (range(request)[1] === 1 ? serve : (faults.shift() ?? serve))(request, response);
}
/** As many bytes as asked for are announced, fewer sent. */
const cutAfter =
  (bytes: number): RequestListener =>
  (request, response) => {
    const [first, end] = range(request);
    const headers = { "content-range": `bytes ${first}-${end - 1}/${content.length}`, "content-length": end - first };
    response.writeHead(206, headers).write(content.subarray(first, first + bytes), () => response.destroy());
  };
const status =
  (code: number, headers: Record<string, string> = {}): RequestListener =>
  (_, response) =>
    response.writeHead(code, headers).end();

async function readAll(options: HttpOptions = quick): Promise<void> {
  const source = (await httpSource(`${base}/file`, options))!;
  const into = new ArrayBuffer(content.length + 10);
  const bytes = await source.read(0, content.length, undefined, into);
  assert.is(bytes.buffer, into);
  assert.equal(bytes, content);
}
const rangesSeen = () => seen.map((line) => line.split(" ")[2]);

test("a connection that is cut goes on at the byte where it stopped", async () => {
  faulty(cutAfter(70_000), cutAfter(0), cutAfter(1));
  await readAll();
  assert.equal(rangesSeen(), ["bytes=0-0", "bytes=0-199999", "bytes=70000-199999", "bytes=70000-199999", "bytes=70001-199999"]);
});

test("overload and broken gateways pass; what stays is told with the number of tries", async () => {
  faulty(...[429, 500, 502, 503].map((code) => status(code)));
  await readAll();
  assert.is(seen.length, 6);
  answer = status(503);
  await refused("SOURCE_READ", [/\/file: HTTP status 503 to a request for bytes 0-0 \(after 5 tries\)$/], () => readAll());
  await refused("SOURCE_READ", [/bytes 0-0 \(after 2 tries\)$/], () => readAll({ retry: { attempts: 2, firstDelayMs: 1 } }));
  for (const code of [400, 401, 403, 406, 416, 451]) {
    seen.length = 0;
    faulty(status(code));
    await refused("SOURCE_READ", [`HTTP status ${code} to a request for bytes 0-199999; 206 is needed`], () => readAll());
    assert.is(seen.length, 2);
  }
});

test("progress gives new tries", async () => {
  const cuts = Array.from({ length: 3 }, () => [cutAfter(65_536), status(500), status(500), status(500)]).flat();
  faulty(...cuts);
  await readAll();
  assert.is(seen.length, 14);
});

test("a server that asks to wait is waited for, but not for ever", async () => {
  faulty(status(429, { "retry-after": "0" }), status(503, { "retry-after": new Date(0).toUTCString() }));
  await readAll({ retry: { firstDelayMs: 60_000, longestDelayMs: 60_000 } });
  faulty(status(429, { "retry-after": "3600" }));
  await refused("SOURCE_READ", ["HTTP status 429", "; the server asks to wait 3600 s"], () => readAll());
  const waits: readonly (readonly [Record<string, string>, number | undefined])[] = [
    [{ "retry-after": "7" }, 7000],
    [{ "retry-after": new Date(10_000).toUTCString() }, 8000],
    [{ "retry-after": new Date(0).toUTCString() }, 0],
    [{ "retry-after": "soon" }, undefined],
    [{ ratelimit: '"resolvers";r=0;t=55' }, 55_000],
    [{ ratelimit: '"resolvers";r=0;t=x' }, undefined],
    [{}, undefined],
  ];
  for (const [headers, expected] of waits) assert.is(retryAfterMs(new Headers(headers), 2000), expected, JSON.stringify(headers));
});

test("a server that goes silent, or trickles, is left and asked again", async () => {
  const silent: RequestListener = (request, response) => {
    const [first, end] = range(request);
    response.writeHead(206, { "content-range": `bytes ${first}-${end - 1}/${content.length}` });
    response.write(content.subarray(first, first + 5000));
  };
  const trickle: RequestListener = (request, response) => {
    const [first, end] = range(request);
    response.writeHead(206, { "content-range": `bytes ${first}-${end - 1}/${content.length}` });
    let at = first;
    const timer = setInterval(() => response.write(content.subarray(at, ++at)), 5);
    response.on("close", () => clearInterval(timer));
  };
  const never: RequestListener = () => undefined;
  const impatient = { retry: { firstDelayMs: 1, stallMs: 200 } };
  faulty(silent, never, trickle);
  await readAll(impatient);
  assert.is(rangesSeen()[2], "bytes=5000-199999");
  assert.is(rangesSeen()[3], "bytes=5000-199999");
  answer = never;
  await refused("SOURCE_READ", ["the server went silent (after 2 tries)"], () =>
    readAll({ retry: { ...impatient.retry, attempts: 2, stallMs: 50 } }),
  );
});

test("a reader that takes its time is no silence of the server", async () => {
  answer = serve;
  const file = new HttpFile(new URL(`${base}/file`), new HttpClient({ retry: { attempts: 1, stallMs: 100 } }));
  let length = 0;
  for await (const part of file.stream(0, content.length)) {
    if (length === 0) await sleep(250);
    length += part.length;
  }
  assert.is(length, content.length);
});

test("a reader that leaves ends the request", async () => {
  let closed = false;
  answer = (request, response) => {
    response.on("close", () => {
      closed = true;
    });
    cutAfter(1)(request, response);
  };
  const file = new HttpFile(new URL(`${base}/file`), new HttpClient(quick));
  for await (const _ of file.stream(0, content.length)) break;
  for (let i = 0; i < 100 && !closed; i++) await sleep(10);
  assert.ok(closed);
});

test("bytes out of a whole file, where that is asked for", async () => {
  answer = (_, response) => response.writeHead(200).end(content);
  const file = new HttpFile(new URL(`${base}/file`), new HttpClient(quick));
  const parts: Uint8Array[] = [];
  for await (const part of file.stream(100_000, 150_000, { fromWhole: true })) parts.push(part);
  assert.equal(Buffer.concat(parts), Buffer.from(content.subarray(100_000, 150_000)));
  const past = file.stream(100_000, 200_001, { fromWhole: true });
  try {
    for await (const _ of past);
    assert.unreachable();
  } catch (error) {
    assert.match((error as Error).message, "ended after");
  }
});

test("the token goes to its own origin and to no other", async () => {
  const options = { ...quick, token: { value: "hf_secret", origin: base } };
  answer = (request, response) => {
    if (`http://${request.headers.host}` === base) response.writeHead(302, { location: `${other}/signed?key=sesame` }).end();
    else serve(request, response);
  };
  const source = (await httpSource(`${base}/file`, options))!;
  assert.equal(await source.read(5, 10), content.slice(5, 15));
  assert.is(source.name, `${base}/file`);
  const tokens = seen.map((line) => [`http://${line.split(" ")[0]}`, line.includes("hf_secret")]);
  assert.equal(tokens, [
    [base, true],
    [other, false],
    [other, false], // where the redirect led is remembered
  ]);
  const elsewhere = (await httpSource(`${other}/file`, options))!;
  assert.is(elsewhere.size, content.length);
  assert.not.match(seen.at(-1)!, "hf_secret");
});

test("an address that has expired is asked for again", async () => {
  let given = 0;
  let revoked = 0;
  answer = (request, response) => {
    if (`http://${request.headers.host}` === base) response.writeHead(302, { location: `${other}/signed?key=${++given}` }).end();
    else (Number(request.url!.split("=")[1]) > revoked ? serve : status(403))(request, response);
  };
  const source = (await httpSource(`${base}/file`, quick))!;
  assert.equal(await source.read(7, 3), content.slice(7, 10));
  assert.is(given, 1);
  revoked = 1;
  assert.equal(await source.read(7, 3), content.slice(7, 10));
  assert.is(given, 2);
  revoked = 100;
  await refused("SOURCE_READ", [/\/file: HTTP status 403 to a request for bytes 7-9/, /^((?!key).)*$/s], () => source.read(7, 3));
});

test("redirects that lead astray are refused, and their secrets unprinted", async () => {
  const silent = /^((?!s3cret).)*$/s;
  const to = (location?: string): RequestListener => status(302, location === undefined ? {} : { location });
  for (const [location, says] of [
    [undefined, "a redirect that leads nowhere"],
    ["http://[broken", "a redirect that leads nowhere"],
    ["ftp://host/file?s3cret", "a redirect to ftp: is not followed"],
    ["file:///etc/passwd", "a redirect to file: is not followed"],
    ["/circle?s3cret", "more than 10 redirects"],
  ] as const) {
    answer = to(location);
    await refused("SOURCE_READ", [says, silent], () => httpSource(`${base}/file`, quick));
  }
  answer = to("http://user:s3cret@host/file");
  await refused("ARGUMENT", ["host/file: a URL with a user name or password", silent], () => httpSource(`${base}/file`, quick));
  const fetch = async () => new Response(null, { status: 302, headers: { location: "http://host/file" } });
  await refused("SOURCE_READ", ["a redirect to http: is not followed"], () => httpSource("https://host/file", { fetch }));
});

test("where a page may not see redirects the engine follows them", async () => {
  const modes: unknown[] = [];
  const fetch = async (_: URL, { redirect, headers }: RequestInit) => {
    modes.push([redirect, new Headers(headers).get("range")]);
    const opaque = Object.assign(new Response(null, { status: 200 }), {});
    if (redirect === "manual") return Object.defineProperty(opaque, "type", { value: "opaqueredirect" });
    const response = new Response("x", { status: 206, headers: { "content-range": "bytes 0-0/1" } });
    Object.defineProperty(response, "url", { value: "https://elsewhere/signed" });
    return Object.defineProperty(response, "redirected", { value: true });
  };
  const source = (await httpSource("https://host/file", { fetch }))!;
  assert.equal(await source.read(0, 1), new TextEncoder().encode("x"));
  assert.equal(modes, [
    ["manual", "bytes=0-0"],
    ["follow", "bytes=0-0"],
    ["follow", "bytes=0-0"],
  ]);
});

test("tries, watches and waits one by one", async () => {
  const reason = new Error("enough");
  const aborted = AbortSignal.abort(reason);
  const thrown = (body: () => Promise<unknown>) => body().catch((error: unknown) => error);
  assert.is(await thrown(() => new Tries(RETRY_POLICY).next(new PassingFailure("x"), 0, aborted)), reason);
  const other = new Error("no passing one");
  assert.is(await thrown(() => new Tries(RETRY_POLICY).next(other, 0, undefined)), other);
  const watch = new StallWatch(RETRY_POLICY, aborted);
  assert.equal([watch.signal.aborted, watch.stalled], [true, false]);
  watch.close();
  const stop = new AbortController();
  const waiting = thrown(() => sleep(60_000, stop.signal));
  stop.abort(reason);
  assert.is(await waiting, reason);
});

test.run();
