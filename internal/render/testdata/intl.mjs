// Writes intl.json: what this Node's Intl writes for dates, times and numbers, for locale_test.go to compare with.
// Run it as: node testdata/intl.mjs
import {writeFileSync} from 'node:fs'

const locales = `en en-GB en-US en-AU en-CA en-IN nl nl-BE sv de de-AT de-CH es es-MX es-AR fr fr-CA fr-CH it pt pt-PT pl da nb
no fi ja zh zh-TW zh-HK zh-Hant ko ar ar-EG ar-SA he fa th tr uk ru cs hi vi hu el bg en-NL`.split(/\s+/)
const moments = ['2026-01-01T00:00', '2026-02-28T05:07', '2026-03-20T06:08', '2026-03-21T12:00', '2026-04-30T12:59',
  '2026-05-02T09:05', '2026-06-14T10:10', '2026-07-19T11:30', '2026-08-08T13:01', '2026-09-23T15:45', '2026-10-10T17:20',
  '2026-11-09T21:00', '2026-12-31T23:59', '2028-02-29T18:30']
const numbers = ['0', '7', '-7', '999', '1234', '12345', '-123456.5', '1234567.89', '12345678901', '0.25']

// Node's format has plain spaces where the tables of CLDR have thin and narrow ones, since many readers miss those.
const plain = s => s.replace(/[\u202f\u2009]/g, ' ')

const out = {}
for (const tag of locales) {
  const of = options => moments.map(m => plain(new Intl.DateTimeFormat(tag, {...options, timeZone: 'UTC'}).format(new Date(m + 'Z'))))
  out[tag] = {
    dates: of({dateStyle: 'full'}), times: of({timeStyle: 'short'}), both: of({dateStyle: 'full', timeStyle: 'short'}),
    numbers: numbers.map(n => new Intl.NumberFormat(tag, {maximumFractionDigits: 2}).format(Number(n))),
  }
}
// Every day of 75 years, for the calendars that are computed.
const days = []
const persian = new Intl.DateTimeFormat('en-u-ca-persian-nu-latn', {year: 'numeric', month: 'numeric', day: 'numeric', timeZone: 'UTC'})
for (let t = Date.UTC(2000, 0, 1); t < Date.UTC(2075, 0, 1); t += 86400e3) {
  const at = Object.fromEntries(persian.formatToParts(new Date(t)).map(p => [p.type, p.value]))
  if (at.day === '1') days.push([new Date(t).toISOString().slice(0, 10), +at.year, +at.month])
}
writeFileSync(new URL('intl.json', import.meta.url), JSON.stringify({cldr: process.versions.cldr, moments, numbers, locales: out, persianMonths: days}, null, 1) + '\n')
