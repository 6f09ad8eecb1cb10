package rule

// table has every key, in the order in which a request meets the rules.
var table = []Key{
	{Name: "https", Sample: "true", Doc: "send plain requests to https://", path: "policy.https", read: yes},
	{Name: "hsts", Sample: "180d", Doc: "tell browsers to use https:// only, for so long", path: "policy.hsts", read: duration},

	{Name: "maintenance", Sample: "Back at 10", Doc: "show a page in place of the app: on, or a sentence for it", set: setMaintenance, drop: gone("policy.maintenance")},
	{Name: "maintenance.page", Sample: "@down.html", Doc: "the page itself, as HTML or @FILE", path: "policy.maintenance.page", read: text},
	{Name: "maintenance.retry", Sample: "10m", Doc: "tell visitors when to come again", path: "policy.maintenance.retry", read: duration},
	{Name: "maintenance.except", Sample: "192.0.2.0/24", Doc: "addresses that reach the app nevertheless", path: "policy.maintenance.except", read: list},

	{Name: "allow", Sample: "10.0.0.0/8,192.0.2.1", Doc: "let only these addresses in", path: "policy.addresses.allow", read: list},
	{Name: "deny", Sample: "203.0.113.0/24", Doc: "let these addresses not in", path: "policy.addresses.deny", read: list},
	{Name: "auth.user", Sample: "NAME", Doc: "let NAME in with a password, which is asked for, and nobody without", set: passwordAsked},
	{Name: "auth.user.", Doc: "to unset: one person", set: passwordShown, drop: dropUser},
	{Name: "auth.realm", Sample: "staff", Doc: "what browsers say the password is for", path: "policy.auth.realm", read: text},

	{Name: "redirect", Sample: "https://new.example{path}", Doc: "send visitors somewhere else", path: "policy.redirect.to", root: "policy.redirect", read: text},
	{Name: "redirect.status", Sample: "301", Doc: "with this status (308)", path: "policy.redirect.status", read: number},

	{Name: "rate", Sample: "100/s", Doc: "allow so many requests of all visitors together; 100/m,burst=200", set: setRate(""), drop: dropRate("")},
	{Name: "rate.client", Sample: "10/s", Doc: "allow so many requests of each address", set: setRate("client"), drop: dropRate("client")},
	{Name: "rate.header.", Sample: "10/s", Doc: "allow so many requests with each value of a header", set: setRate("header:"), drop: dropRate("header:")},
	{Name: "rate.cookie.", Sample: "10/s", Doc: "allow so many requests with each value of a cookie", set: setRate("cookie:"), drop: dropRate("cookie:")},

	{Name: "fault.delay", Sample: "2s", Doc: "make requests wait, on purpose", set: setFault(faultDelay), drop: dropFault(faultDelay)},
	{Name: "fault.abort", Sample: "503", Doc: "answer with this status, on purpose", set: setFault(faultAbort), drop: dropFault(faultAbort)},
	{Name: "fault.share", Sample: "0.1", Doc: "do so to this share of the requests", set: setFault(faultShare), drop: dropFault(faultShare)},
	{Name: "fault.header", Sample: "X-Fault=1", Doc: "do so to requests with this header", set: setFault(faultHeader), drop: dropFault(faultHeader)},
	{Name: "fault.cookie", Sample: "fault=1", Doc: "do so to requests with this cookie", set: setFault(faultCookie), drop: dropFault(faultCookie)},

	{Name: "bulkhead", Sample: "50", Doc: "let so many requests be with the app at once", path: "policy.bulkhead.requests", root: "policy.bulkhead", read: number},
	{Name: "bulkhead.queue", Sample: "100", Doc: "let so many more wait for their turn (0)", path: "policy.bulkhead.queue", read: number},
	{Name: "bulkhead.wait", Sample: "5s", Doc: "that long (10s)", path: "policy.bulkhead.wait", read: duration},

	{Name: "sticky", Sample: "cookie", Doc: "keep visitors with their instance: cookie, cookie:NAME or header:NAME", set: setSticky, drop: gone("policy.sticky")},
	{Name: "sticky.max_age", Sample: "1d", Doc: "for so long (until the browser ends)", path: "policy.sticky.max_age", read: duration},

	{Name: "breaker", Sample: "on", Doc: "spare a group that fails", set: setOn("policy.breaker"), drop: gone("policy.breaker")},
	{Name: "breaker.failed", Sample: "0.5", Doc: "from this share of failed requests on (0.5)", path: "policy.breaker.failed", read: share},
	{Name: "breaker.requests", Sample: "20", Doc: "of at least so many (20)", path: "policy.breaker.requests", read: number},
	{Name: "breaker.window", Sample: "10s", Doc: "in this time (10s)", path: "policy.breaker.window", read: duration},
	{Name: "breaker.open", Sample: "15s", Doc: "for so long, then try it (15s)", path: "policy.breaker.open", read: duration},
	{Name: "breaker.probes", Sample: "3", Doc: "with so many requests that must be well (3)", path: "policy.breaker.probes", read: number},

	{Name: "retries", Sample: "2", Doc: "send a request again so often where that is safe; 0: never", set: setRetries, drop: gone("policy.retries.attempts")},
	{Name: "retries.budget", Sample: "0.2", Doc: "retries as a share of all answers (0.2)", path: "policy.retries.budget", read: share},

	{Name: "health", Sample: "/healthz", Doc: "ask instances at this path how they are", path: "policy.health.path", root: "policy.health", read: text},
	{Name: "health.every", Sample: "10s", Doc: "so often (10s)", path: "policy.health.every", read: duration},
	{Name: "health.timeout", Sample: "2s", Doc: "and wait so long (2s)", path: "policy.health.timeout", read: duration},
	{Name: "health.fails", Sample: "3", Doc: "failures in a row until an instance gets no requests (3)", path: "policy.health.fails", read: number},
	{Name: "health.passes", Sample: "2", Doc: "successes in a row until it gets them again (2)", path: "policy.health.passes", read: number},

	{Name: "request.remove", Sample: "X-Debug", Doc: "take these header fields from requests", path: "policy.request.remove", read: list},
	{Name: "request.set.", Sample: "{client}", Doc: "give requests this header field", path: "policy.request.set.", read: text},
	{Name: "request.add.", Sample: "value", Doc: "add this header field to requests", path: "policy.request.add.", read: one},

	{Name: "mirror", Sample: "shop-v042", Doc: "send copies of requests to this server group", path: "policy.mirror.group", root: "policy.mirror", read: text},
	{Name: "mirror.share", Sample: "0.1", Doc: "of this share of the requests (all)", path: "policy.mirror.share", read: share},
	{Name: "mirror.body", Sample: "64K", Doc: "with bodies up to this size (64K)", path: "policy.mirror.body", read: bytes},

	{Name: "response.remove", Sample: "Server", Doc: "take these header fields from answers", path: "policy.response.remove", read: list},
	{Name: "response.set.", Sample: "DENY", Doc: "give answers this header field", path: "policy.response.set.", read: text},
	{Name: "response.add.", Sample: "value", Doc: "add this header field to answers", path: "policy.response.add.", read: one},

	{Name: "tracing.sample", Sample: "0.1", Doc: "trace this share of the requests, where visitors do not say", path: "policy.tracing.sample", read: share},

	{Name: "timeout.connect", Sample: "1s", Doc: "wait so long for an instance to accept", path: "timeouts.connect", read: duration},
	{Name: "timeout.response", Sample: "30s", Doc: "wait so long for an answer to begin", path: "timeouts.response", read: duration},
	{Name: "timeout.idle", Sample: "1m", Doc: "bear so long a silence inside an answer or a WebSocket", path: "timeouts.idle", read: duration},
	{Name: "timeout.total", Sample: "30s", Doc: "end a request after so long", path: "timeouts.total", read: duration},
	{Name: "body", Sample: "10M", Doc: "refuse larger bodies of requests", path: "limits.body", read: bytes},
}
