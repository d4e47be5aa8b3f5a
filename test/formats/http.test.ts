import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { openCheckpoint } from "../../src/formats/checkpoint.ts";
import { type Fetch, httpFolder, httpSource, WHOLE_FILE_BYTES } from "../../src/formats/http.ts";
import type { HttpOptions } from "../../src/formats/http-client.ts";
import { openFolder } from "../../src/formats/source.ts";
import { refused } from "./refused.ts";
import { tinyFiles } from "./safetensors-file.ts";

const test = suite("http sources");
/** An error is told at once. */
const once: HttpOptions = { retry: { attempts: 1 } };
const content = Uint8Array.from({ length: 1000 }, (_, i) => (i * 7) % 256);
/** What the server does with a request, by the first part of the path; each case adds its own. */
const routes = new Map<string, RequestListener>();
const requests: string[] = [];
let server: Server;
let base: string;

test.before(async () => {
  server = createServer((request, response) => {
    requests.push(`${request.headers.range} ${request.url}`);
    const route = routes.get(request.url!.split("/")[1]!.split("?")[0]!);
    if (route) route(request, response);
    else response.writeHead(404).end("nothing here");
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
test.after(() => {
  server.closeAllConnections();
  server.close();
});
test.before.each(() => {
  requests.length = 0;
});

const asked = (request: IncomingMessage): [first: number, last: number] => {
  const match = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
  assert.ok(match, `a range was expected, got ${request.headers.range}`);
  return [Number(match[1]), Number(match[2])];
};
/** A right answer to a range request. */
function serveRange(request: IncomingMessage, response: ServerResponse, bytes: Uint8Array = content): void {
  const [first, last] = asked(request);
  const body = bytes.subarray(first, last + 1);
  response.writeHead(206, { "content-range": `bytes ${first}-${last}/${bytes.length}`, "content-length": body.length }).end(body);
}
/** Right for the first request of one byte, then as `later` says. */
const onceRight =
  (later: RequestListener): RequestListener =>
  (request, response) =>
    asked(request)[1] === 0 ? serveRange(request, response) : later(request, response);

test("ranges: one byte for the size, then exactly what is read", async () => {
  routes.set("good", serveRange);
  const file = (await httpSource(`${base}/good`))!;
  assert.is(file.size, 1000);
  assert.is(file.name, `${base}/good`);
  assert.equal(await file.read(10, 20), content.slice(10, 30));
  assert.equal(await file.read(0, 1000), content);
  assert.equal(await file.read(1000, 0), new Uint8Array(0));
  assert.equal(requests, ["bytes=0-0 /good", "bytes=10-29 /good", "bytes=0-999 /good"]);
  await refused("ARGUMENT", ["1001 bytes at 0 are not inside its 1000 bytes"], () => file.read(0, 1001));
});

test("what is not there is undefined; other answers are errors with their status", async () => {
  assert.is(await httpSource(`${base}/none`), undefined);
  routes.set("gone", (_, response) => response.writeHead(410).end());
  assert.is(await httpSource(`${base}/gone`), undefined);
  for (const status of [204, 401, 403, 416, 429, 500, 503]) {
    routes.set("status", (_, response) => response.writeHead(status).end());
    await refused("SOURCE_READ", [`${base}/status: HTTP status ${status} to a request for bytes 0-0`], () =>
      httpSource(`${base}/status`, once),
    );
  }
});

test("an empty file", async () => {
  routes.set("empty", (_, response) => response.writeHead(416, { "content-range": "bytes */0" }).end());
  const file = (await httpSource(`${base}/empty`))!;
  assert.is(file.size, 0);
  assert.equal(await file.read(0, 0), new Uint8Array(0));
});

test("a server that ignores ranges: small files are read whole, once", async () => {
  routes.set("whole", (_, response) => response.end(content));
  const file = (await httpSource(`${base}/whole`))!;
  assert.is(file.size, 1000);
  assert.equal(await file.read(10, 20), content.slice(10, 30));
  assert.equal(requests, ["bytes=0-0 /whole"]);
});

test("the same without a length, and compressed", async () => {
  const chunks = Array.from({ length: 10 }, (_, i) => content.subarray(100 * i, 100 * i + 100));
  routes.set("chunked", async (_, response) => {
    for (const chunk of chunks) await new Promise<void>((sent) => response.write(chunk, () => sent()));
    response.end();
  });
  assert.equal(await (await httpSource(`${base}/chunked`))!.read(0, 1000), content);
  const zeros = new Uint8Array(100_000);
  const packed = gzipSync(zeros);
  routes.set("gzip", (_, response) =>
    response.writeHead(200, { "content-encoding": "gzip", "content-length": packed.length }).end(packed),
  );
  assert.equal(await (await httpSource(`${base}/gzip`))!.read(0, 100_000), zeros);
});

test("a server that ignores ranges: large files are refused, and not downloaded", async () => {
  let sent = 0;
  const body = (response: ServerResponse) => {
    const chunk = new Uint8Array(1024 * 1024);
    const more = () => {
      sent += chunk.length;
      if (!response.destroyed && sent < 2 * WHOLE_FILE_BYTES) response.write(chunk, more);
    };
    more();
  };
  routes.set("announced", (_, response) => {
    response.writeHead(200, { "content-length": 8_000_000_000 });
    body(response);
  });
  await refused("SOURCE_READ", ["the server ignores range requests", "up to 67108864 bytes", "this one has 8000000000"], () =>
    httpSource(`${base}/announced`),
  );
  assert.ok(sent < WHOLE_FILE_BYTES, `${sent} bytes were sent`);
  sent = 0;
  routes.set("endless", (_, response) => body(response));
  await refused("SOURCE_READ", [`longer than the ${WHOLE_FILE_BYTES} bytes`], () => httpSource(`${base}/endless`));
  assert.ok(sent < 2 * WHOLE_FILE_BYTES, `${sent} bytes were sent`);
});

test("a server that stops serving ranges is an error, and the whole file is not downloaded", async () => {
  routes.set(
    "stops",
    onceRight((_, response) => response.end(content)),
  );
  const file = (await httpSource(`${base}/stops`))!;
  await refused("SOURCE_READ", ["HTTP status 200 to a request for bytes 5-9; 206 is needed"], () => file.read(5, 5));
});

test("a body that is cut short, or too long, is an error", async () => {
  const partial = (body: Uint8Array, headers: object, end: (response: ServerResponse) => void): RequestListener =>
    onceRight((request, response) => {
      const [first, last] = asked(request);
      response.writeHead(206, { "content-range": `bytes ${first}-${last}/1000`, ...headers });
      response.write(body, () => end(response));
    });
  const end = (response: ServerResponse) => response.end();
  routes.set("short", partial(content.subarray(0, 50), {}, end));
  await refused("SOURCE_READ", ["/short: the body of bytes 0-99 ended after 50 bytes"], async () =>
    (await httpSource(`${base}/short`, once))!.read(0, 100),
  );
  routes.set(
    "cut",
    partial(content.subarray(0, 50), { "content-length": 100 }, (response) => response.destroy()),
  );
  await refused("SOURCE_READ", [`${base}/cut: `], async () => (await httpSource(`${base}/cut`, once))!.read(0, 100));
  routes.set("long", partial(content.subarray(0, 101), {}, end));
  await refused("SOURCE_READ", ["/long: the response is longer than the 100 bytes"], async () =>
    (await httpSource(`${base}/long`))!.read(0, 100),
  );
});

test("a Content-Range for anything but what was asked is refused", async () => {
  const wrong: readonly (readonly [header: string | undefined, says: string])[] = [
    [undefined, "got Content-Range missing"],
    ["bytes 0-1/1000", "asked for bytes 0-0, got Content-Range bytes 0-1/1000"],
    ["bytes 1-1/1000", "got Content-Range bytes 1-1/1000"],
    ["bytes 0-0/*", "got Content-Range bytes 0-0/*"],
    ["bytes 0-0/0", "got Content-Range bytes 0-0/0"],
    ["bytes 0-0/9007199254740992", "got Content-Range bytes 0-0/9007199254740992"],
    ["items 0-0/1000", "got Content-Range items 0-0/1000"],
  ];
  for (const [header, says] of wrong) {
    routes.set("wrong", (_, response) => response.writeHead(206, header ? { "content-range": header } : {}).end("x"));
    await refused("SOURCE_READ", [says], () => httpSource(`${base}/wrong`));
  }
  for (const range of ["bytes 6-10/1000", "bytes 4-9/1000", "bytes 5-8/1000", "bytes 5-9/9"]) {
    routes.set(
      "shifted",
      onceRight((_, response) => response.writeHead(206, { "content-range": range }).end("xxxxx")),
    );
    await refused("SOURCE_READ", [`asked for bytes 5-9, got Content-Range ${range}`], async () =>
      (await httpSource(`${base}/shifted`))!.read(5, 5),
    );
  }
});

test("a file that changes its size while it is read is an error", async () => {
  routes.set(
    "changes",
    onceRight((request, response) => serveRange(request, response, new Uint8Array(2000))),
  );
  await refused("SOURCE_READ", ["the file changed while it was read: 1000 bytes, now 2000"], async () =>
    (await httpSource(`${base}/changes`))!.read(5, 5),
  );
});

test("redirects are followed, with the range", async () => {
  routes.set("good", serveRange);
  routes.set("moved", (_, response) => response.writeHead(302, { location: "/good" }).end());
  const file = (await httpSource(`${base}/moved`))!;
  assert.equal(await file.read(10, 20), content.slice(10, 30));
  routes.set("circle", (_, response) => response.writeHead(302, { location: "/circle" }).end());
  await refused("SOURCE_READ", [`${base}/circle: `], () => httpSource(`${base}/circle`, once));
});

test("no connection is an error that names the URL, and not the secrets in it", async () => {
  await refused("SOURCE_READ", ["http://127.0.0.1:9/file: "], () => httpSource("http://127.0.0.1:9/file?token=secret", once));
  await refused("SOURCE_READ", [/^((?!secret).)*$/s], () => httpSource("http://127.0.0.1:9/file?token=secret", once));
});

test("a refused connection says why", async () => {
  const closed = createServer();
  await new Promise<void>((listening) => closed.listen(0, "127.0.0.1", listening));
  const { port } = closed.address() as AddressInfo;
  await new Promise((done) => closed.close(done));
  await refused("SOURCE_READ", [`http://127.0.0.1:${port}/file: `, `ECONNREFUSED 127.0.0.1:${port}`], () =>
    httpSource(`http://127.0.0.1:${port}/file`, once),
  );
  const failing = (cause: unknown): HttpOptions => ({
    ...once,
    fetch: () => Promise.reject(new Error("failed", { cause })),
  });
  const code = Object.assign(new AggregateError([]), { code: "ENETDOWN" });
  await refused("SOURCE_READ", [/: failed: ENETDOWN$/], () => httpSource(base, failing(code)));
  await refused("SOURCE_READ", [/: failed: RangeError$/], () => httpSource(base, failing(new RangeError())));
  await refused("SOURCE_READ", [/: failed$/], () => httpSource(base, failing("text")));
});

test("URLs with a user name or password are refused, unprinted, before any request", async () => {
  const silent = /^((?!s3cret|user@|user:).)*$/s;
  for (const url of ["https://user:s3cret@host/m?token=s3cret", "http://user@host/m", "http://:s3cret@host/m"]) {
    const says = ["host/m", "a URL with a user name or password cannot be fetched", silent];
    const never: Fetch = () => assert.unreachable("no request") as never;
    await refused("ARGUMENT", says, () => httpFolder(url, { fetch: never }));
    await refused("ARGUMENT", says, () => httpSource(url, { fetch: never }));
    await refused("ARGUMENT", says, () => openFolder(url));
    await refused("ARGUMENT", says, () => openFolder(new URL(url)));
  }
  await refused("ARGUMENT", ["the text given is none", silent], () => httpFolder("https://user:s3cret@:host"));
});

test("a folder: files below it, with or without its slash; the query goes along", async () => {
  routes.set("folder", serveRange);
  for (const location of [`${base}/folder`, `${base}/folder/`, new URL(`${base}/folder`)]) {
    const folder = await openFolder(location);
    assert.is(folder.name, `${base}/folder/`);
    assert.is((await folder.open("a b?#%.bin"))?.size, 1000);
  }
  assert.is((await httpFolder(`${base}/folder?token=1`).open("x"))?.name, `${base}/folder/x`);
  assert.equal(requests, [...Array(3).fill("bytes=0-0 /folder/a%20b%3F%23%25.bin"), "bytes=0-0 /folder/x?token=1"]);
  for (const name of ["../x", "..", "a/b", "http://x"])
    await refused("ARGUMENT", ["is not a file's name"], () => httpFolder(base).open(name));
});

test("an aborted signal stops a request with its reason", async () => {
  routes.set(
    "slow",
    onceRight((_, response) => response.writeHead(206, { "content-range": "bytes 0-99/1000" }).flushHeaders()), // and no body
  );
  const reason = new Error("enough");
  const file = (await httpSource(`${base}/slow`))!;
  const stop = new AbortController();
  const reading = file.read(0, 100, stop.signal).catch((error: unknown) => error);
  setTimeout(() => stop.abort(reason), 20);
  assert.is(await reading, reason);
  assert.is(await file.read(0, 1, stop.signal).catch((error: unknown) => error), reason);
  assert.is(await httpSource(`${base}/slow`, {}, stop.signal).catch((error: unknown) => error), reason);
});

test("another fetch can be given", async () => {
  const calls: string[] = [];
  const own: Fetch = async (url, { headers }) => {
    calls.push(`${url.href} ${new Headers(headers).get("range")}`);
    return new Response(null, { status: 404 });
  };
  assert.is(await httpFolder("https://example.invalid/m", { fetch: own }).open("config.json"), undefined);
  assert.equal(calls, ["https://example.invalid/m/config.json bytes=0-0"]);
  const withoutBody: Fetch = async () => new Response(null, { status: 200 });
  assert.is((await httpSource("https://example.invalid/m", { fetch: withoutBody }))?.size, 0);
});

test("a whole checkpoint, row by row", async () => {
  const files = tinyFiles();
  routes.set("tiny", (request, response) => {
    const bytes = files[request.url!.split("/")[2]!];
    if (bytes) serveRange(request, response, bytes);
    else response.writeHead(404).end();
  });
  const checkpoint = await openCheckpoint(`${base}/tiny`);
  assert.is(checkpoint.tensors.size, 13);
  const stop = new AbortController();
  const rows = checkpoint.tensors.get("model.embed_tokens.weight")!.rows({ sliceBytes: 100, signal: stop.signal });
  const seen: number[] = [];
  try {
    for await (const { firstRow, bytes } of rows) {
      seen.push(firstRow, bytes.length);
      if (firstRow === 4) stop.abort();
    }
    assert.unreachable();
  } catch (error) {
    assert.is((error as Error).name, "AbortError");
  }
  assert.equal(seen, [0, 96, 4, 96]);
  await checkpoint.close();
});

test.run();
