-- +goose Up

-- The number of a notice among the changes of its incident, as calendars count them (SEQUENCE, RFC 5545 §3.8.7.4): seconds since 2026 when the notice began, and more
-- than that of every other that had begun. None: a version of before began it, and its mails have the second of their date.
ALTER TABLE notice ADD COLUMN revision integer;
