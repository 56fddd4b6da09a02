// Writes intl.json.gz: what Node's Intl writes, for intl_test.go to compare with. Intl has ICU's copy of CLDR and its own code, and nothing
// of the generator. Run it as: node intl.mjs, with a Node whose CLDR is that of the table.
import {readFileSync, writeFileSync} from 'node:fs'
import {gzipSync} from 'node:zlib'

const {cldr, locales} = JSON.parse(readFileSync(new URL('../table.json', import.meta.url)))
if (!cldr.startsWith(process.versions.cldr)) throw new Error(`the table has CLDR ${cldr}, this Node ${process.versions.cldr}`)

const moments = ['2026-01-01T00:00', '2026-02-28T05:07', '2026-03-20T06:08', '2026-03-21T12:00', '2026-04-30T12:59',
  '2026-05-02T09:05', '2026-06-14T10:10', '2026-07-19T11:30', '2026-08-08T13:01', '2026-09-23T15:45', '2026-10-10T17:20',
  '2026-11-09T21:00', '2026-12-31T23:59', '2028-02-29T18:30']
const ranges = [['2026-11-09T21:00', '2026-11-09T22:30'], ['2026-11-09T09:15', '2026-11-09T09:45'], ['2026-11-09T08:05', '2026-11-09T14:00'],
  ['2026-06-14T02:00', '2026-06-14T06:30'], ['2026-06-14T11:00', '2026-06-14T12:30'], ['2026-06-14T00:00', '2026-06-14T05:00'],
  ['2026-06-14T13:00', '2026-06-14T20:00'], ['2026-11-09T21:00', '2026-11-10T00:00'], ['2026-12-31T07:00', '2027-01-01T19:30']]
const numbers = ['0', '7', '-7', '999', '1234', '12345', '-123456.5', '1234567.89', '12345678901', '0.25']
const percents = ['0', '12', '99.9', '-5', '12345']
const amounts = ['0.5', '1234.5', '-7', '98765.43']
const currencies = ['EUR', 'USD', 'GBP', 'JPY', 'CHF', 'SEK', 'PLN', 'INR', 'KWD', 'CAD', 'XOF']
const lists = [['A'], ['A', 'B'], ['A', 'B', 'C'], ['A', 'B', 'C', 'D'], ['Ana', 'Inés'], ['Ana', 'hierro', 'Hilda'], ['א', 'ב', 'ג']]
const counts = ['0', '1', '2', '3', '5', '6', '7', '8', '10', '11', '12', '13', '20', '21', '22', '80', '100', '101', '102', '103', '111', '1000', '1000000',
  '0.0', '1.0', '0.5', '1.5', '2.5', '10.1']
const lengths = [[1], [2], [5], [11], [21], [100], [0, 1], [0, 2], [0, 3], [0, 5], [0, 21], [0, 0, 1], [0, 0, 2], [0, 0, 5], [0, 0, 59], [0, 0, 0, 1],
  [0, 0, 0, 8], [1, 2], [0, 1, 30], [2, 3, 45], [1, 2, 3, 4]]
const zones = [['Europe/Amsterdam', '01'], ['Europe/Amsterdam', '07'], ['Europe/London', '07'], ['Europe/Dublin', '07'], ['Europe/Kyiv', '01'], ['Europe/Lisbon', '07'],
  ['Europe/Moscow', '01'], ['America/New_York', '01'], ['America/New_York', '07'], ['America/Chicago', '07'], ['America/Phoenix', '07'], ['America/Vancouver', '01'],
  ['America/Halifax', '07'], ['America/Sao_Paulo', '01'], ['Pacific/Honolulu', '01'], ['Pacific/Auckland', '01'], ['Australia/Sydney', '01'],
  ['Australia/Sydney', '07'], ['Asia/Tokyo', '01'], ['Asia/Kolkata', '01'], ['Asia/Dubai', '01'], ['Asia/Jerusalem', '07'], ['Africa/Johannesburg', '01'], ['Africa/Casablanca', '01']]

// The table has plain spaces where CLDR has thin and narrow ones in dates, since many readers search for those.
const plain = s => s.replace(/[\u202f\u2009]/g, ' ')

function written(tag) {
  const at = s => new Date(s + 'Z')
  const of = options => {
    const format = new Intl.DateTimeFormat(tag, {...options, timeZone: 'UTC'})
    return moments.map(m => plain(format.format(at(m))))
  }
  const full = {dateStyle: 'full', timeStyle: 'short'}, range = new Intl.DateTimeFormat(tag, {...full, timeZone: 'UTC'})
  const number = (n, options) => new Intl.NumberFormat(tag, options).format(n)
  const part = (n, unit) => number(n, {style: 'unit', unit, unitDisplay: 'long'})
  const parts = new Intl.ListFormat(tag, {type: 'unit', style: 'long'}), and = new Intl.ListFormat(tag, {type: 'conjunction', style: 'long'})
  return {
    dates: of({dateStyle: 'full'}), times: of({timeStyle: 'short'}), both: of(full),
    ranges: ranges.map(([a, b]) => plain(range.formatRange(at(a), at(b)))),
    numbers: numbers.map(n => number(n, {maximumFractionDigits: 2})),
    percents: percents.map(n => number(Number(n) / 100, {style: 'percent', maximumFractionDigits: 1})),
    money: currencies.flatMap(currency => amounts.filter(a => !a.includes('.') || !['JPY', 'XOF'].includes(currency)).map(a => number(a, {style: 'currency', currency}))),
    lists: lists.map(l => and.format(l)),
    plurals: counts.map(n => new Intl.PluralRules(tag, {minimumFractionDigits: n.split('.')[1]?.length ?? 0}).select(n)),
    units: lengths.map(l => parts.format(l.flatMap((n, i) => n ? [part(n, ['day', 'hour', 'minute', 'second'][i])] : []))),
    zones: zones.map(([timeZone, month]) => {
      const name = new Intl.DateTimeFormat(tag, {timeZone, timeZoneName: 'short'}).formatToParts(at(`2026-${month}-10T12:00`)).find(p => p.type === 'timeZoneName').value
      return /\p{Nd}/u.test(name) ? '' : name // a mere offset
    }),
  }
}

// A region has what differs from its language alone.
const all = {}
for (const tag of Object.keys(locales)) all[tag] = written(tag)
const lines = Object.entries(all).map(([tag, of]) => {
  const parent = all[tag.split('-').slice(0, -1).join('-')] ?? {}
  return JSON.stringify(tag) + ': ' + JSON.stringify(Object.fromEntries(Object.entries(of).filter(([k, v]) => JSON.stringify(v) !== JSON.stringify(parent[k]))))
})
// Every month of 75 years, for the calendar that is computed.
const months = []
const persian = new Intl.DateTimeFormat('en-u-ca-persian-nu-latn', {year: 'numeric', month: 'numeric', day: 'numeric', timeZone: 'UTC'})
for (let t = Date.UTC(2000, 0, 1); t < Date.UTC(2075, 0, 1); t += 86400e3) {
  const at = Object.fromEntries(persian.formatToParts(new Date(t)).map(p => [p.type, p.value]))
  if (at.day === '1') months.push([new Date(t).toISOString().slice(0, 10), +at.year, +at.month])
}
const head = Object.entries({moments, ranges, numbers, percents, amounts, currencies, lists, counts, lengths, zones, persianMonths: months})
const text = '{' + head.map(([k, v]) => JSON.stringify(k) + ': ' + JSON.stringify(v)).join(',\n') + ',\n"locales": {\n' + lines.join(',\n') + '}}\n'
writeFileSync(new URL('intl.json.gz', import.meta.url), gzipSync(text, {level: 9}))
