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
package internal
