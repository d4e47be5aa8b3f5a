/** The formats that are enforced, as patterns for the whole string. Sources: RFC 3339, RFC 9562, RFC 5321, RFC 3986. */

const LEAP_YEAR = "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)";
const DATE =
  "(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))" +
  `|${LEAP_YEAR}-02-29)`;
const OFFSET = "(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])";
/** A leap second is one at the end of a day in UTC alone. */
const TIME = `(?:(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]+)?${OFFSET}|23:59:60(?:\\.[0-9]+)?[Zz])`;

const ATOM = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+";
const LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?";

const OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";
const IPV4 = `${OCTET}(?:\\.${OCTET}){3}`;

const ESCAPE = "%[0-9A-Fa-f]{2}";
const PATH_CHARACTER = `(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|${ESCAPE})`;
const HOST = `(?:[A-Za-z0-9._~!$&'()*+,;=-]|${ESCAPE})*`;
const USER = `(?:(?:[A-Za-z0-9._~!$&'()*+,;=:-]|${ESCAPE})*@)?`;
const SEGMENTS = `(?:/${PATH_CHARACTER}*)*`;
const REST = `(?:/|\\?|${PATH_CHARACTER})*`;
/** A scheme, then an authority and its path, or a path that does not look like one. Addresses in brackets are left out. */
const URI =
  `[A-Za-z][A-Za-z0-9+.-]*:(?://${USER}${HOST}(?::[0-9]*)?${SEGMENTS}|/(?:${PATH_CHARACTER}+${SEGMENTS})?|${PATH_CHARACTER}+${SEGMENTS})` +
  `(?:\\?${REST})?(?:#${REST})?`;

export const FORMATS: ReadonlyMap<string, string> = new Map([
  ["date", DATE],
  ["time", TIME],
  ["date-time", `${DATE}[Tt]${TIME}`],
  ["uuid", "[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}"],
  ["email", `${ATOM}(?:\\.${ATOM})*@(?:${LABEL}\\.)+${LABEL}`],
  ["ipv4", IPV4],
  ["uri", URI],
]);
