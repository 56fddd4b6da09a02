// Writes cldr.json: how dates, times and numbers are written, per locale, taken from this Node's Intl.
// Run it as: node generate.mjs
//
// A locale of which the patterns do not give back what Intl writes, for every day of two years and every hour, is left
// out, so that render writes ISO 8601 for it rather than something wrong.
import {writeFileSync} from 'node:fs'

const languages = `af ar az be bg bn bs ca cs cy da de el en es et eu fa fi fil fr fy ga gl he hi hr hu hy id is it ja ka
kk km ko lb lo lt lv mk mn ms mt nb ne nl nn no pa pl pt ro ru si sk sl sq sr sr-Latn sv sw ta te th tr uk ur uz vi zh
zh-Hant`.split(/\s+/)
const calendars = {gregory: 'gregorian', persian: 'persian', buddhist: 'buddhist'}

const lists = [], contents = [], locales = {}

function intern(all, item) {
  const s = JSON.stringify(item)
  let i = all.findIndex(other => JSON.stringify(other) === s)
  return i >= 0 ? i : all.push(item) - 1
}

// Mail clients and people who search for "9:00 PM" are better off with the plain space, as Intl's format has it too.
const plain = s => s.replace(/[\u202f\u2009]/g, ' ')

const utc = (y, m, d, h = 12, min = 34) => new Date(Date.UTC(y, m, d, h, min))

function describe(tag) {
  const date = new Intl.DateTimeFormat(tag, {dateStyle: 'full', timeZone: 'UTC'})
  const time = new Intl.DateTimeFormat(tag, {timeStyle: 'short', timeZone: 'UTC'})
  const both = new Intl.DateTimeFormat(tag, {dateStyle: 'full', timeStyle: 'short', timeZone: 'UTC'})
  const options = time.resolvedOptions()
  const calendar = calendars[date.resolvedOptions().calendar]
  if (!calendar) return null
  const number = describeNumbers(tag)
  const digits = s => [...s].map(c => { const i = number.digits.indexOf(c); return i < 0 ? c : String(i) }).join('')
  const part = (format, when, type) => plain(format.formatToParts(when).find(p => p.type === type)?.value ?? '')
  const pattern = parts => plain(parts.map(p => ({weekday: '{w}', day: '{d}', month: '{M}', year: '{y}', relatedYear: '{y}',
    hour: '{h}', minute: '{m}', dayPeriod: '{p}'}[p.type] ?? p.value)).join(''))

  const months = Array(12).fill('')
  for (let i = 0; i < 366; i++) {
    const when = utc(2026, 0, 1 + i)
    const n = calendar === 'persian'
      ? Number(new Intl.DateTimeFormat('en-u-ca-persian', {month: 'numeric', timeZone: 'UTC'}).format(when)) - 1
      : when.getUTCMonth()
    months[n] ||= part(date, when, 'month')
  }
  const weekdays = [...Array(7).keys()].map(i => part(date, utc(2026, 10, 1 + i), 'weekday')) // 1 November 2026: a Sunday
  const hour = h => digits(part(time, utc(2026, 10, 9, h, 5), 'hour'))
  const periods = [...Array(24).keys()].map(h => part(time, utc(2026, 10, 9, h, 5), 'dayPeriod'))
  const afternoon = utc(2026, 10, 9, 14, 5)
  const dateText = plain(date.format(afternoon)), timeText = plain(time.format(afternoon))
  const glue = plain(both.format(afternoon)).replace(dateText, '{date}').replace(timeText, '{time}')
  const made = {
    calendar,
    date: pattern(date.formatToParts(afternoon)),
    time: pattern(time.formatToParts(afternoon)),
    both: glue,
    to: separator(time.formatRangeToParts(utc(2026, 10, 9, 9), utc(2026, 10, 9, 15)), ''),
    dateTo: separator(both.formatRangeToParts(utc(2026, 10, 9, 14), utc(2026, 10, 10, 15)), glue),
    cycle: {h23: 24, h24: 24, h12: 12, h11: 11}[options.hourCycle],
    hour2: hour(7).length === 2,
    day2: [...Array(30).keys()].every(i => digits(part(date, utc(2026, 10, i), 'day')).length === 2),
    months: intern(lists, months),
    weekdays: intern(lists, weekdays),
    periods: options.hourCycle.startsWith('h2') ? -1 : intern(lists, periods),
    number,
  }
  return check(tag, made, {date, time, both}) ? made : null
}

// separator is what stands between the two ends of a range, without the words that each end brings along anyway.
function separator(parts, glue) {
  const last = parts.findLastIndex(p => p.source === 'startRange')
  if (last < 0 || parts[last + 1]?.source !== 'shared') return ' – '
  const before = glue.slice(0, glue.indexOf('{')), after = glue.slice(glue.lastIndexOf('}') + 1)
  let between = parts[last + 1].value
  if (after && between.startsWith(after)) between = between.slice(after.length)
  if (before && between.endsWith(before)) between = between.slice(0, -before.length)
  return plain(between.match(/\s?[-–~～至]\s?$/)?.[0] ?? between) // a unit such as 分 belongs to another way to write times
}

function describeNumbers(tag) {
  const format = new Intl.NumberFormat(tag, {maximumFractionDigits: 3})
  const digits = [...new Intl.NumberFormat(tag, {useGrouping: false}).format(9876543210)].reverse().join('')
  const parts = format.formatToParts(-1234567890123.5)
  const integers = parts.filter(p => p.type === 'integer').map(p => p.value.length)
  const get = type => parts.find(p => p.type === type)?.value ?? ''
  return {
    digits, decimal: get('decimal'), group: get('group'),
    minus: format.format(-7).slice(0, -format.format(7).length), // with its mark of direction
    first: integers.at(-1), next: integers.at(-2) ?? integers.at(-1),
    least: format.formatToParts(1234).some(p => p.type === 'group') ? 1 : 2,
  }
}

// check writes dates the way render does and compares them with Intl.
function check(tag, made, intl) {
  if (!made.both.includes('{date}') || !made.both.includes('{time}')) return false
  if ([...made.number.digits].length !== 10) return false
  const local = n => [...String(n)].map(c => [...made.number.digits][c]).join('')
  const two = (n, yes) => local(yes ? String(n).padStart(2, '0') : n)
  const month = new Intl.DateTimeFormat('en-u-ca-' + made.calendar.replace('gregorian', 'gregory'),
    {year: 'numeric', month: 'numeric', day: 'numeric', timeZone: 'UTC'})
  for (let i = 0; i < 730; i++) {
    const when = utc(2026, 0, 1 + i, i % 24, i % 60), h = when.getUTCHours()
    const at = Object.fromEntries(month.formatToParts(when).map(p => [p.type, p.value]))
    const date = made.date.replace('{w}', lists[made.weekdays][when.getUTCDay()]).replace('{d}', two(at.day, made.day2))
      .replace('{M}', lists[made.months][at.month - 1]).replace('{y}', local(at.year))
    const hour = made.cycle === 24 ? h : made.cycle === 12 ? h % 12 || 12 : h % 12
    const time = made.time.replace('{h}', two(hour, made.hour2)).replace('{m}', two(when.getUTCMinutes(), true))
      .replace('{p}', made.periods < 0 ? '' : lists[made.periods][h])
    const both = made.both.replace('{date}', date).replace('{time}', time)
    for (const [got, want] of [[date, intl.date], [time, intl.time], [both, intl.both]]) {
      if (got !== plain(want.format(when))) {
        console.error(`${tag} left out: ${got} is not ${want.format(when)}`)
        return false
      }
    }
  }
  return true
}

const letters = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZ']
const regions = ['', ...letters.flatMap(a => letters.map(b => '-' + a + b)), '-001', '-150', '-419']
for (const language of languages) {
  for (const region of regions) {
    const tag = language + region
    if (region && new Intl.DateTimeFormat(tag).resolvedOptions().locale !== tag) continue
    if (!region && language !== 'no' && Intl.DateTimeFormat.supportedLocalesOf(tag).length === 0) continue
    const made = describe(tag)
    locales[tag] = made ? intern(contents, made) : -1
  }
}
// A region that writes everything as its language does needs no entry.
for (const tag of Object.keys(locales)) {
  const language = languages.findLast(l => tag.startsWith(l + '-') && l !== tag)
  const parents = language ? regions.slice(-3).map(r => language + r).filter(p => p in locales && p !== tag) : []
  if (language && parents.concat(language).every(p => locales[p] === locales[tag])) delete locales[tag]
}
writeFileSync(new URL('../cldr.json', import.meta.url), '{"cldr": "' + process.versions.cldr + '",\n"lists": [\n' +
  lists.map(l => JSON.stringify(l)).join(',\n') + '],\n"formats": [\n' + contents.map(c => JSON.stringify(c)).join(',\n') +
  '],\n"locales": ' + JSON.stringify(locales) + '}\n')
console.error(`${Object.keys(locales).length} locales, ${contents.length} formats, ${lists.length} lists`)
