package config

import (
	"time"
)

// table holds every setting. A new one is a row here, and a field with its tag in each struct of config.go that
// belongs to a command using it. `go generate ./internal/config` writes the README's table and tocsin.yaml anew.
var table = []Setting{
	{
		Name: "TOCSIN_CONFIG", Key: "-", Value: "FILE", Example: "/etc/tocsin/tocsin.yaml", parse: text(nil),
		Doc: "The file of settings, as YAML.",
	},
	{
		Name: "DATABASE_URL", Secret: true, Example: "postgres://tocsin@127.0.0.1/tocsin", parse: text(isDatabaseURL),
		Doc: "Postgres, which keeps what is owed and what was sent.",
	},
	{
		Name: "REDIS_URL", Secret: true, Example: "redis://127.0.0.1:6379", parse: text(isRedisURL),
		Doc: "Redis or Valkey, which says what to look at next, and counts for the limits that workers share: redis://[user:password@]host, " +
			"redis+sentinel://host,host,host/master, or redis+cluster://host,host,host (redis:// with several hosts is the same); rediss has TLS.",
	},
	{
		Name: "TOCSIN_TOKEN", Secret: true, Without: "none", parse: tokens,
		Doc: "Bearer token of the API; two, separated by a comma, while rotating.",
	},
	{
		Name: "TOCSIN_FROM", Value: "ADDRESS", Example: "Example Status <status@example.net>", parse: text(isAddress),
		Doc:    "Sender of all mails. `tocsin check` looks up what receivers will ask about its domain.",
		Sample: "from: Example Status <status@example.net>",
	},
	{
		Name: "TOCSIN_REPLY_TO", Value: "ADDRESS", Without: "none", Example: "support@example.org", parse: text(isAddress),
		Doc: "Where answers go, unless a notice says otherwise.",
	},
	{
		Name: "TOCSIN_ZONE", Value: "ZONE", Without: "UTC", Example: "Europe/Amsterdam", parse: text(isZone),
		Doc: "IANA time zone of notices that name none.",
	},
	{
		Name: "TOCSIN_TEMPLATE_DIR", Value: "DIR", Without: "none", Example: "./templates", path: true, parse: text(isDirectory),
		Doc: "Directory of templates that go before the built-in ones.",
	},
	{
		Name: "TOCSIN_PUBLIC_URL", Value: "URL", Without: "none", Example: "https://tocsin.example.net", parse: publicURL,
		Doc: "Where readers reach the pages of TOCSIN_PUBLIC_LISTEN, for serve and work: advisories and post-mortems say there how to " +
			"unsubscribe (RFC 8058). None: they do not.",
	},
	{
		Name: "TOCSIN_SMTP_URL", Key: "relays", Secret: true, Example: "smtp://user:password@smtp.example.net:587",
		keep: (*file).keepRelays, read: func(r *reader) any { return r.relays() },
		Doc: "Relays that mail is handed to, tried in this order: a list in the file (relays:), or URLs separated by commas in the " +
			"variable, which goes before it. smtp:// wants STARTTLS with a certificate that verifies, except on a loopback address " +
			"or with ?tls=opportunistic; smtps:// speaks TLS from the first byte.",
		Sample: `relays:
  - name: inbox
    url: smtp://mailpit:1025?tls=opportunistic
#  - name: main
#    url: smtp://user@smtp.example.net:587
#    password_file: /run/secrets/smtp
#    connections: 16 # at once, from each worker
#    rate: 200/s # of all workers together; also 600/m, 5000/h, 50000/d
#    quota: 50000/d # mails in any 24 hours, as fast as the rate allows; then the next relay takes over
#    family: ipv4 # of its addresses; else each of them is tried
#    hello: mta.example.net # in place of the setting hello
#    return_path: bounces@example.net # in place of the setting return_path
#    auth: PLAIN # in place of the strongest that is offered; also CRAM-MD5, [LOGIN, PLAIN], …
#  - name: cloud
#    url: smtp://user@smtp.example.com:587
#    token_command: [get-token, smtp] # for XOAUTH2; or token_file: /run/secrets/token`,
	},
	{
		Name: "TOCSIN_HELLO", Value: "NAME", Without: "the host's full name, else the domain of TOCSIN_FROM", Example: "mta.example.net",
		parse: text(isHello),
		Doc:   "The name under which workers greet relays (EHLO); the DNS has to know it.",
	},
	{
		Name: "TOCSIN_RETURN_PATH", Value: "ADDRESS", Without: "that of TOCSIN_FROM", Example: "bounces@status.example.net", parse: text(isReturnPath),
		Doc: "Where bounces come back (RFC 5321 reverse-path). A mail's own has a token behind its local part: bounces+token@….",
	},
	{
		Key: "dkim", Without: "none", keep: (*file).keepDKIM, read: func(r *reader) any { return r.s.file.dkim },
		Doc: "Keys that mails are signed with (DKIM), one or two, for the domain of the sender; `tocsin dkim new` makes one. " +
			"Without any, the relay may sign.",
		Sample: `#dkim:
#  - selector: tocsin2026
#    key_file: /run/secrets/dkim.pem
#    domain: example.net # in place of that of from`,
	},
	{
		Key: "branding", Without: "the sender's name, and no logo", keep: (*file).keepBranding, read: func(r *reader) any { return r.branding() },
		Doc: "How mails show who they come from, for serve and work: a name, a logo (PNG, JPEG or GIF, 16 KB at most), colours in quotes, " +
			"and the lines at the end of each mail by language.",
		Sample: `#branding:
#  name: Example Hosting # in the place of the name in from
#  logo: logo.png # shown at 480 × 64 pixels at most
#  colours: {header: "#102a43", header_text: "#ffffff", link: "#0b5cad"}
#  footer:
#    default: Example Hosting Ltd, 1 High Street, Exampletown # for readers of all other languages
#    de: |
#      Example Hosting GmbH, Hauptstraße 1, 12345 Musterstadt
#      Amtsgericht Musterstadt, HRB 12345`,
	},
	{
		Key: "limits", Without: "none", keep: (*file).keepLimits, read: func(r *reader) any { return r.s.file.limits },
		Doc: "Limits of recipient domains, for all workers together: mails per time, and mails under way at once.",
		Sample: `#limits:
#  - domain: gmail.com
#    rate: 20/s
#    connections: 8`,
	},
	{
		Key: "holds", Without: "none", keep: (*file).keepHolds, read: func(r *reader) any { return r.holds() },
		Doc: "Times in which nothing leaves; the mails that are due leave afterwards. A start adds them; `tocsin hold remove` ends one.",
		Sample: `#holds:
#  - from: 2026-11-09T21:00
#    until: 2026-11-10T00:00
#    zone: Europe/Amsterdam
#    reason: power feeds`,
	},
	{
		Key: "webhooks", Without: "none", keep: (*file).keepWebhooks, read: func(r *reader) any { return r.webhooks() },
		Doc: "Receivers that serve tells over HTTP of changes of notices, signed as Standard Webhooks say, or as messages of Slack or Teams. A URL, or the " +
			"url_file that holds it; the secret is in a file, two lines while it is replaced.",
		Sample: `#webhooks:
#  - name: on-call
#    url: https://hooks.example.net/tocsin
#    secret_file: /run/secrets/webhook # whsec_…: openssl rand -base64 32 makes one
#    events: [released, held, brake, finished, uncertain, cancelled] # else all
#  - name: chat
#    url_file: /run/secrets/slack-url
#    form: slack # or teams; else standard`,
	},
	{
		Name: "TOCSIN_LISTEN", Value: "ADDR", Default: "127.0.0.1:8080", parse: text(isListen),
		Doc: "Where serve listens, as host:port; without a token on a loopback address only.",
	},
	{
		Name: "TOCSIN_CONSOLE_URL", Value: "URL", Without: "the host that a browser asks for", Example: "https://tocsin.example.net", parse: webURL,
		Doc: "Where people reach the console, which serve has at /: sign-in links begin with it.",
	},
	{
		Name: "TOCSIN_SESSION", Value: "TIME", Default: "12h", parse: duration("12h", time.Minute),
		Doc: "After how long without use a person is signed out of the console; after 7 days in any case.",
	},
	{
		Name: "TOCSIN_TRUSTED_PROXIES", Value: "NETWORKS", Without: "none", Example: "10.0.0.0/8,2001:db8::7", parse: networks,
		Doc: "Proxies before serve, as addresses or networks separated by commas: the address that they write in X-Forwarded-For is the one in the log, and " +
			"the one that wrong sign-ins are counted by. Of all others the header counts for nothing.",
	},
	{
		Name: "TOCSIN_OIDC_ISSUER", Value: "URL", Without: "none", Example: "https://login.example.net", parse: issuerURL,
		Doc: "OpenID Connect issuer at which people sign in to the console, beside passwords and links; it sends them back to TOCSIN_CONSOLE_URL, which is needed then.",
	},
	{
		Name: "TOCSIN_OIDC_CLIENT", Value: "ID", Default: "tocsin", parse: text(isWord),
		Doc: "Tocsin's client id at the issuer.",
	},
	{
		Name: "TOCSIN_OIDC_SECRET", Secret: true, Without: "a public client, which PKCE protects", parse: text(isSecret),
		Doc: "Tocsin's client secret at the issuer.",
	},
	{
		Name: "TOCSIN_OIDC_SCOPES", Value: "SCOPES", Default: "openid,profile,email", parse: scopes,
		Doc: "Scopes that are asked for, separated by commas.",
	},
	{
		Name: "TOCSIN_OIDC_CLAIM", Value: "NAME", Default: "roles", parse: text(isWord),
		Doc: "Claim of the ID token that has the person's role, or a list with it: the highest counts.",
	},
	{
		Name: "TOCSIN_OIDC_ROLES", Value: "VALUE=ROLE", Without: "values are roles", Example: "support=viewer,sre=approver", parse: claimRoles,
		Doc: "Roles by values of the claim, separated by commas: viewer, sender, approver or admin. Whoever has none is refused.",
	},
	{
		Name: "TOCSIN_PUBLIC_LISTEN", Value: "ADDR", Without: "nowhere", Example: "0.0.0.0:8081", parse: text(isListen),
		Doc: "Where serve takes the webhooks of mail providers and has the pages of readers, as host:port, and nothing else: it may be " +
			"open to the internet.",
	},
	{
		Name: "TOCSIN_SNS_TOPICS", Value: "ARNS", Without: "none", Example: "arn:aws:sns:eu-central-1:123456789012:bounces", parse: topics,
		Doc: "SNS topics, separated by commas, whose messages /hooks/ses takes; a subscription to one is confirmed.",
	},
	{
		Name: "TOCSIN_POSTMARK_PASSWORD", Secret: true, Without: "none", parse: text(isSecret),
		Doc: "Password in the URL of Postmark's webhooks, for /hooks/postmark.",
	},
	{
		Name: "TOCSIN_MAILGUN_KEY", Secret: true, Without: "none", parse: text(isSecret),
		Doc: "Mailgun's HTTP webhook signing key, for /hooks/mailgun.",
	},
	{
		Name: "TOCSIN_SENDGRID_KEY", Value: "KEY", Without: "none", parse: text(isSendGridKey),
		Doc: "SendGrid's verification key of the signed event webhook, for /hooks/sendgrid.",
	},
	{
		Name: "TOCSIN_WORK_LISTEN", Value: "ADDR", Without: "nowhere", Example: "127.0.0.1:9090", parse: text(isListen),
		Doc: "Where a worker serves /healthz, /readyz and /metrics, as host:port.",
	},
	{
		Name: "TOCSIN_BOUNCES_LISTEN", Value: "ADDR", Without: "nowhere", Example: "127.0.0.1:2525", parse: text(isListen),
		Doc: "Where `bounces` takes mails that came back by SMTP, as host:port.",
	},
	{
		Name: "TOCSIN_BOUNCES_LMTP", Value: "ADDR", Without: "nowhere", Example: "/run/tocsin/lmtp", parse: text(isSocket),
		Doc: "Where `bounces` takes them by LMTP: the path of a socket, or host:port.",
	},
	{
		Name: "TOCSIN_BOUNCES_MAILDIR", Value: "DIR", Without: "none", Example: "/var/mail/bounces", path: true, parse: text(isDirectory),
		Doc: "Maildir from which `bounces` takes them.",
	},
	{
		Name: "TOCSIN_BOUNCES_IMAP_URL", Secret: true, Without: "none", Example: "imaps://user:password@imap.example.net/INBOX", parse: text(isIMAPURL),
		Doc: "IMAP mailbox from which `bounces` takes them. imaps:// speaks TLS from the first byte; imap:// wants STARTTLS, except on a loopback address.",
	},
	{
		Name: "TOCSIN_BOUNCES_HTTP", Value: "ADDR", Without: "nowhere", Example: "127.0.0.1:9091", parse: text(isListen),
		Doc: "Where `bounces` serves /healthz, /readyz and /metrics, as host:port.",
	},
	{
		Name: "TOCSIN_URL", Value: "URL", Default: "http://127.0.0.1:8080", parse: webURL,
		Doc: "Where the command line finds serve.",
	},
	{
		Name: "TOCSIN_CONFIRM_ABOVE", Value: "N", Default: "10000", parse: whole(0, 1_000_000_000),
		Doc: "Above how many recipients `notice send` has their number typed; so it does for every customer.",
	},
	{
		Name: "TOCSIN_APPROVALS", Value: "N", Without: "from none", Example: "1000", parse: whole(1, 1_000_000_000),
		Doc: "From how many mails on the release of a notice wants another person than those who wrote it: `notice approve`. The same in every serve.",
	},
	{
		Name: "TOCSIN_ONLY_TO", Value: "PATTERNS", Without: "everybody", Example: "*@example.net",
		keep: (*file).keepOnlyTo, parse: onlyTo,
		Doc: "Mailboxes that mails go to alone, so that a copy of production mails no customer; all others end suppressed. A list in " +
			"the file, or patterns separated by commas. The same in all workers, and in serve.",
		Sample: `#only_to: ["*@example.net", "*@*.example.net", "ada+rehearsal@example.org"]`,
	},
	{
		Name: "TOCSIN_MAX_OPEN_MARKS", Value: "N", Default: "64", parse: whole(1, 10_000),
		Doc: "Mails that a worker may have under way: the most that its crash leaves uncertain.",
	},
	{
		Name: "TOCSIN_DRAIN", Value: "TIME", Default: "30s", parse: duration("30s", 0),
		Doc: "How long a worker that is told to stop waits for answers.",
	},
	{
		Name: "TOCSIN_LEASE", Value: "TIME", Default: "60s", parse: duration("60s", 3*time.Second),
		Doc: "How long a chunk stays with a worker that is not heard of; a third of it is the time from a mark to its dot, " +
			"which a later notice or an amendment waits for. The same in serve and in all workers.",
	},
	{
		Name: "TOCSIN_FIRST_RETRY", Value: "TIME", Default: "30s", parse: duration("30s", time.Second),
		Doc: "Mean wait before a deferred mail is tried again; it doubles up to 15 minutes.",
	},
	{
		Name: "TOCSIN_RELAY_SILENCE", Value: "TIME", Default: "30s", parse: duration("30s", time.Second),
		Doc: "After how long a relay that takes mails, and answers none of several, gets no more of them but one now and then.",
	},
	{
		Name: "TOCSIN_MARKS_DIR", Value: "DIR", Without: "nowhere", Example: "/var/lib/tocsin/marks", path: true, parse: text(isDirectory),
		Doc: "Directory in which marks are counted, beside Redis, so that a restored backup is recognised.",
	},
	{
		Name: "TOCSIN_WORKER_RATE", Value: "N", Default: "100", parse: whole(1, 100_000),
		Doc: "Mails a second that one worker is reckoned to send: serve tells by it how many workers are wanted (metric tocsin_wanted_workers).",
	},
	{
		Name: "TOCSIN_SEND_WITHIN", Value: "TIME", Default: "10m", parse: duration("10m", time.Second),
		Doc: "In which time all due mails should leave, for the same metric.",
	},
	{
		Name: "TOCSIN_LOG", Value: "text|json", Default: "text", parse: text(isLog),
		Doc: "How logs are written: text or json.",
	},
	{
		Name: "TOCSIN_OTLP_URL", Value: "URL", Without: "nowhere", Example: "http://127.0.0.1:4318", parse: webURL,
		Doc: "Collector of OpenTelemetry that serve and work tell their traces, by OTLP over HTTP.",
	},
	{
		Name: "TOCSIN_TRACE_EVERY", Value: "N", Default: "100", parse: whole(1, 1_000_000),
		Doc: "Of so many mails that were sent, one is in the traces; all others of the attempts are.",
	},
	{
		Name: "TOCSIN_PLAN_KEEP", Value: "TIME", Default: "24h", parse: duration("24h", time.Minute),
		Doc: "How long the plan that a dry run showed can be released; then it is dropped.",
	},
	{
		Name: "TOCSIN_RETENTION", Value: "DAYS", Without: "for ever", Example: "400d", parse: days(leastRetention),
		Doc: "How long serve keeps the rows of finished notices, in days (7 at least); their counts and keys stay.",
	},
}
