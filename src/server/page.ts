/** The page at `/`: a small chat with this server. */
import type { Hono } from "hono";
import { chatPage } from "./page-script.ts";
import { PAGE_CSS, PAGE_HTML } from "./page-text.ts";
import type { Env } from "./routes.ts";

/** Scripts and styles from this server alone, and nothing else from anywhere. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

export function pageRoutes(app: Hono<Env>): void {
  const files = [
    ["/", "text/html", PAGE_HTML],
    ["/page.css", "text/css", PAGE_CSS],
    // A function of this program, as text: what is checked and tested is what the browser runs.
    ["/page.js", "text/javascript", `(${chatPage})(document, (...args) => fetch(...args), sessionStorage);\n`],
  ] as const;
  for (const [path, type, text] of files)
    app.get(
      path,
      () => new Response(text, { headers: { "content-type": `${type}; charset=utf-8`, "content-security-policy": POLICY } }),
    );
}
