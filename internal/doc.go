// Package internal is a map of Tocsin's code, in reading order. Imports run down this list one way only;
// imports_test.go holds them to it.
//
//	notice     the domain's nouns, states and errors; imports the standard library alone
//	yaml       strict reading of YAML files: fields known by name, errors with line and advice
//	audience   who is to be told, at which mailbox: filters, address keys, customer files
//	ledger     Postgres, and every SQL statement: recipients, deliveries, their states and the log of acts
//	redisurl   REDIS_URL: one Redis, a primary that Sentinels know, or a Cluster
//	queue      asynq: names, payloads, options; the one package that imports it
//	cldr       how each locale writes dates, ranges, numbers, lists, durations, money and zones
//	render     template + language + recipient → message
//	pace       may I send this now, and if not, when? limits that all workers share through Redis
//	send       message → SMTP relay; answers sent, later, never or uncertain
//	bounce     mails that come back: bounces, automatic replies, complaints; the tokens that they are known by
//	dkim       signatures of mails, their keys and records
//	control    an operator's decisions: draft, preview, test, release, pause, cancel, settle, reconcile
//	delivery   the heart, a worker: claim, attempt, retry, sweep
//	hook       webhooks of mail providers: proof of the sender, and the bounces that they report
//	webhook    changes of notices, told to receivers over HTTP
//	optout     the page on which readers stop and resume mails
//	oidc       people who sign in at an OpenID Connect issuer
//	directory  a notice's directory: notice.yaml and its texts
//	console    pages for people: support and operations
//	api        JSON over HTTP, OpenAPI, and the client that the command line uses
//	intake     mails that came back, from SMTP, LMTP, a Maildir or an IMAP mailbox, to the API
//	metrics    figures for Prometheus about a worker and the ledger
//	trace      the way of a notice, told to a collector of OpenTelemetry
//	config     settings from flags, environment and file
//	local      a throwaway Postgres and Redis
//	maillog    reading of the logs of relays, and of the sink, about mails
//	sink       an SMTP server that keeps or refuses as told
//	testkit    fresh databases and relays for tests
//
// cmd/tocsin joins them. docs/guarantees.md states the delivery protocol that ledger and delivery implement.
//
// # Glossary
//
//   - customer: an account with an id, a name, a language, a time zone, attributes and contacts.
//   - contact: an address of a customer, the primary or the alternate one.
//   - mailbox: the place that an address leads to. All spellings of the address have one key.
//   - incident: the thread of all notices about one outage, maintenance or advisory.
//   - notice: an announcement with texts, an audience, a phase and a schedule.
//   - audience: the customers to be told, by a filter, a list or an earlier notice.
//   - plan: the frozen result of a dry run: recipients, texts and counts.
//   - release: the act of an operator from which on the mails of a plan are owed.
//   - recipient: one mailbox of a plan, with all customers that share it.
//   - delivery: the obligation to send one notice to one recipient. It has one of nine states.
//   - chunk: up to 256 deliveries of one notice, which one task of the queue covers.
//   - lease: the time for which a worker holds a chunk. The worker renews it.
//   - epoch: the number of a claim of a chunk, larger than every earlier one.
//   - attempt: one SMTP transaction for a delivery.
//   - dot: the final <CRLF>.<CRLF> of a message, which hands it over.
//   - mark: the record in the ledger that a dot may go out. It is durable before the dot is written.
//   - gate: the time before which nobody can have an uncertain delivery sent again.
//   - relay: an SMTP server that workers hand mails to.
//   - sweep: the search of the ledger for chunks that are due. It puts back the tasks that Redis lost.
//   - hold: a time that an operator sets, in which no mail leaves.
//   - fence: the guard against a restored backup. Where it is raised, every unfinished notice is held.
//   - brake: the guard against a relay that refuses everybody. It holds the notice.
//   - canary: the mailboxes to which a notice goes first. The others wait until an operator resumes the notice.
//   - hole: a place in a text without a value for its recipient. No mail leaves with one.
//   - reader: the person who gets a mail.
package internal
