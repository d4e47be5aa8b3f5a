/** The page's structure and looks. What it does is in page-script.ts. */
export const PAGE_HTML = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Qwen3</title>
<link rel="stylesheet" href="/page.css">
<script src="/page.js" defer></script>
</head>
<body>
<header>
  <h1 id="model">Qwen3</h1>
  <button id="clear" type="button">New conversation</button>
</header>
<main id="messages" aria-live="polite"></main>
<p id="status" role="status"></p>
<form id="form">
  <label for="input">Message</label>
  <textarea id="input" rows="3" placeholder="Enter sends, Shift+Enter starts a new line" autofocus></textarea>
  <div class="buttons">
    <button id="send" type="submit">Send</button>
    <button id="stop" type="button" disabled>Stop</button>
  </div>
  <details>
    <summary>Sampling</summary>
    <div class="settings">
      <label>Temperature <input id="temperature" type="number" min="0" max="100" step="any" placeholder="model's own"></label>
      <label>Top p <input id="top_p" type="number" min="0" max="1" step="any" placeholder="model's own"></label>
      <label>Top k <input id="top_k" type="number" min="0" step="1" placeholder="model's own"></label>
      <label>Presence penalty <input id="presence_penalty" type="number" min="-2" max="2" step="any" placeholder="0"></label>
      <label>Seed <input id="seed" type="number" step="1" placeholder="random"></label>
      <label>Most tokens <input id="max_tokens" type="number" min="1" step="1" placeholder="as many as fit"></label>
      <label>API key <input id="key" type="password" autocomplete="off" placeholder="none"></label>
      <label>System message <input id="system" type="text" placeholder="none"></label>
    </div>
  </details>
</form>
</body>
</html>
`;

export const PAGE_CSS = `:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 50rem; margin: 0 auto; padding: 1rem; display: flex; flex-direction: column; min-height: calc(100vh - 2rem); }
header { display: flex; justify-content: space-between; align-items: center; gap: 1rem; }
h1 { font-size: 1.2rem; }
main { flex: 1; }
.message { border-inline-start: 3px solid gray; padding-inline-start: .75rem; margin: 1rem 0; white-space: pre-wrap; overflow-wrap: anywhere; }
.user { border-color: royalblue; }
.assistant { border-color: seagreen; }
.error { border-color: crimson; }
.reasoning { opacity: .7; font-style: italic; }
#status { min-height: 1.5em; margin: 0; opacity: .8; font-size: .9rem; }
form { position: sticky; bottom: 0; background: Canvas; padding: .5rem 0; }
textarea { width: 100%; box-sizing: border-box; font: inherit; }
button { font: inherit; padding: .25rem 1rem; }
.settings { display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: .5rem; }
.settings label { display: flex; flex-direction: column; font-size: .9rem; }
`;
