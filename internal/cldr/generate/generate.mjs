// Writes ../table.json: how each locale writes dates, times, ranges, numbers, lists, durations, money and zones, taken from the
// packages of CLDR that package.json pins. Run it by make generate; with --check it only compares the table with what it would write.
//
// Two calendars are in no package of this version, the Persian and the Buddhist: their dates are taken from Node's Intl, whose
// CLDR has to be of the same version.
import {createHash} from 'node:crypto'
import {existsSync, readFileSync, readdirSync, writeFileSync} from 'node:fs'

const languages = `af ar az be bg bn bs ca cs cy da de el en es et eu fa fi fil fr fy ga gl he hi hr hu hy id is it ja ka
kk km ko lb lo lt lv mk mn ms mt nb ne nl nn no pa pl pt ro ru si sk sl sq sr sr-Latn sv sw ta te th tr uk ur uz vi zh
zh-Hant`.split(/\s+/)
const otherCalendars = {th: 'buddhist', fa: 'persian'}
const units = ['day', 'hour', 'minute', 'second']

const here = name => new URL(name, import.meta.url)
const read = name => JSON.parse(readFileSync(here('node_modules/' + name)))
const supplemental = name => read(`cldr-core/supplemental/${name}.json`).supplemental
const likely = supplemental('likelySubtags').likelySubtags
const defaults = new Set(read('cldr-core/defaultContent.json').defaultContent)
const coverage = read('cldr-core/coverageLevels.json').effectiveCoverageLevels
const folders = new Set(readdirSync(here('node_modules/cldr-dates-full/main')).filter(covered))
const dayPeriodRules = supplemental('dayPeriods').dayPeriodRuleSet
const numberingSystems = supplemental('numberingSystems').numberingSystems

// Mail clients and people who search for "9:00 PM" are better off with the plain space than with CLDR's narrow ones.
const plain = s => s.replace(/[\u202f\u2009]/g, ' ')

// table is what is written. What several locales have in common is in it once.
const table = {cldr: '48.0.0', script: scriptSum(), names: [], formats: [], numbers: [], ranges: [], lists: [], durations: [], money: [], zones: [],
  plurals: [], locales: {}, rules: {}, currencies: {}, symbols: {}, metazones: {}}

function intern(all, item) {
  const s = JSON.stringify(item)
  const i = all.findIndex(other => JSON.stringify(other) === s)
  return i >= 0 ? i : all.push(item) - 1
}

// scriptSum changes with all that decides what the table holds. table_test.go computes it too.
function scriptSum() {
  const sum = createHash('sha256')
  for (const name of ['generate.mjs', 'package-lock.json']) sum.update(readFileSync(here(name)))
  return sum.digest('hex')
}

// covered reports whether CLDR has enough of a locale: of a language in a script that is not listed it has little more than the root's names.
function covered(folder) {
  const script = folder.match(/^[a-z]+-[A-Z][a-z]{3}/)?.[0]
  return !script || script in coverage
}

// folderOf returns the folder that has the data of a locale: CLDR leaves out what is the default, such as US of en-US.
function folderOf(tag) {
  const [language, ...rest] = tag.split('-')
  const region = rest.find(s => s.length < 4), script = rest.find(s => s.length === 4)
  if (!region) return folders.has(tag) ? tag : null
  const full = [language, script ?? (likely[tag] ?? likely[language]).split('-')[1], region].join('-')
  const own = [tag, full, `${language}-${region}`].find(f => folders.has(f))
  if (own) return own
  if (!defaults.has(tag) && !defaults.has(full)) return null
  return [full.split('-').slice(0, 2).join('-'), language].find(f => folders.has(f) && (f === language) === !!likely[language]?.startsWith(full.slice(0, -region.length)))
}

// tokens splits a pattern into {field} or {text} (UTS #35, Date Format Patterns).
function tokens(pattern) {
  return [...pattern.matchAll(/'((?:[^']|'')*)'|(([A-Za-z])\3*)|[^A-Za-z']+/g)].map(m =>
    m[2] ? {field: m[2]} : {text: m[1] === undefined ? m[0] : m[1].replace(/''/g, "'") || "'"})
}

const names = {E: 'w', c: 'w', d: 'd', M: 'M', L: 'M', y: 'y', h: 'h', H: 'h', K: 'h', k: 'h', m: 'm', a: 'p', b: 'p', B: 'p'}

// template writes a pattern with the names of fields in braces. From the first field that comes again, they are those of the end of a range.
function template(pattern) {
  const letters = {}
  let end = ''
  const text = tokens(pattern).map(({field, text}) => {
    if (!field) return text
    const name = names[field[0]]
    if (!name) throw new Error(`no name for ${field} in ${pattern}`)
    if (letters[name]) end = '2'
    letters[name] = field
    return `{${name}${end}}`
  }).join('')
  return {text: plain(text), letters}
}

// standard returns the pattern that joins a date and a time. That of zh-Hant lost its space in the packages, which ICU has.
function standard(calendar, folder) {
  const pattern = calendar.dateTimeFormats.medium
  return folder.startsWith('zh-Hant') && pattern === '{1}{0}' ? '{1} {0}' : pattern
}

const glue = (pattern, values) => plain(tokens(pattern).map(({field, text}) => field ?? text).join('').replace(/\{([01])\}/g, (_, n) => values[n]))

function hours(letter) {
  return {H: 24, k: 24, h: 12, K: 11}[letter]
}

// periods returns the part of the day for each hour, as the letter a, b or B wants it.
function periods(calendar, letter, folder) {
  const of = calendar.dayPeriods.format.abbreviated
  if (letter !== 'B') return Array.from({length: 24}, (_, h) => plain(h < 12 ? of.am : of.pm))
  const rules = dayPeriodRules[folder] ?? dayPeriodRules[folder.split('-')[0]]
  return Array.from({length: 24}, (_, h) => {
    const [name] = Object.entries(rules).find(([, r]) => {
      const from = parseInt(r._from), before = parseInt(r._before)
      return r._from && (from < before ? from <= h && h < before : h >= from || h < before)
    })
    return plain(of[name])
  })
}

function describeFormat(tag, folder, calendar, other) {
  const date = template(other ? intlDate(tag, other) : calendar.dateFormats.full), time = template(calendar.timeFormats.short)
  const weekdays = calendar.days[date.letters.w?.[0] === 'c' ? 'stand-alone' : 'format'].wide
  const at = calendar['dateTimeFormats-atTime']?.standard?.full
  return {
    ...other && {calendar: other}, date: date.text, time: time.text, both: glue(at && at !== '{1}{0}' ? at : standard(calendar, folder), ['{time}', '{date}']),
    cycle: hours(time.letters.h[0]), hour2: time.letters.h.length === 2, day2: date.letters.d.length === 2,
    months: intern(table.names, other ? intlMonths(tag, other) : monthNames(calendar, date.letters.M)),
    weekdays: intern(table.names, ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'].map(d => weekdays[d])),
    periods: time.letters.p ? intern(table.names, periods(calendar, time.letters.p[0], folder)) : -1,
  }
}

// monthNames returns how the letters of a pattern write the months.
function monthNames(calendar, letters) {
  const of = calendar.months[letters[0] === 'L' ? 'stand-alone' : 'format']
  return Array.from({length: 12}, (_, i) => letters.length < 3 ? String(i + 1).padStart(letters.length, '0') : of[letters.length === 3 ? 'abbreviated' : 'wide'][i + 1])
}

// intlDate returns the pattern of a date in a calendar that no package has.
function intlDate(tag, calendar) {
  if (!process.versions.cldr.startsWith('48.0')) throw new Error(`the dates of ${tag} need a Node with CLDR 48.0, not ${process.versions.cldr}`)
  const format = new Intl.DateTimeFormat(`${tag}-u-ca-${calendar}`, {dateStyle: 'full', timeZone: 'UTC'})
  return format.formatToParts(Date.UTC(2026, 10, 9)).map(p =>
    ({weekday: 'EEEE', day: 'd', month: 'MMMM', year: 'y'}[p.type] ?? p.value.replace(/'/g, "''").replace(/\p{L}[^ ]*/gu, "'$&'"))).join('')
}

function intlMonths(tag, calendar) {
  const number = new Intl.DateTimeFormat(`en-u-ca-${calendar}`, {month: 'numeric', timeZone: 'UTC'})
  const name = new Intl.DateTimeFormat(`${tag}-u-ca-${calendar}`, {dateStyle: 'full', timeZone: 'UTC'})
  const months = []
  for (let day = 0; day < 366; day++) {
    const when = Date.UTC(2026, 0, 1 + day)
    months[number.format(when) - 1] ??= name.formatToParts(when).find(p => p.type === 'month').value
  }
  return months
}

// describeRanges joins a date with two times by the standard pattern of dates and times, for "Monday at 9:00 – 10:00" is wrong in
// many languages, and has a pattern for each of CLDR's classes.
function describeRanges(calendar, folder, format) {
  const {intervalFormats} = calendar.dateTimeFormats
  const clock = tokens(calendar.timeFormats.short).map(t => t.field?.[0] ?? '').join('')
  const skeleton = /B/.test(clock) ? 'Bhm' : /[hK]/.test(clock) ? 'hm' : 'Hm'
  const of = intervalFormats[skeleton], letters = new Set()
  const range = pattern => {
    const t = template(pattern)
    letters.add(t.letters.h)
    if (hours(t.letters.h[0]) !== format.cycle) throw new Error(`a range of another clock: ${pattern}`)
    return glue(standard(calendar, folder), [t.text, '{date}'])
  }
  const made = {period: range(of.h ?? of.H), day: range(of.B ?? of.a ?? of.H), hour: range(of.m),
    days: glue(intervalFormats.intervalFormatFallback, ['{start}', '{end}'])}
  if (made.hour === made.period) delete made.hour
  if (made.day === made.period) delete made.day
  if ([...letters][0].length === 2) made.hour2 = true
  return made
}

function numbersOf(folder) {
  const all = read(`cldr-numbers-full/main/${folder}/numbers.json`).main[folder].numbers
  const system = all.defaultNumberingSystem
  const of = name => all[`${name}-numberSystem-${system}`]
  return {least: Number(all.minimumGroupingDigits), digits: numberingSystems[system]._digits, symbols: of('symbols'),
    decimal: of('decimalFormats').standard, percent: of('percentFormats').standard, currency: of('currencyFormats')}
}

function describeNumber(folder) {
  const n = numbersOf(folder), groups = n.decimal.split(';')[0].split('.')[0].split(',').slice(1).map(g => g.length)
  return {digits: n.digits, decimal: n.symbols.decimal, group: n.symbols.group, minus: n.symbols.minusSign,
    first: groups.at(-1) ?? 0, next: groups.at(groups.length > 1 ? -2 : -1) ?? 0, least: n.least,
    percent: affixes(n.percent, n)[0]}
}

// affixes returns what is written around a positive and a negative number, {n}, by a number pattern.
function affixes(pattern, n) {
  const [positive, negative] = pattern.split(';')
  const of = p => p.replace(/'([^']*)'/g, '$1').replace(/[#0][#0,.]*/, '{n}').replace('%', n.symbols.percentSign).replace('¤', '{c}')
  return [of(positive), negative ? of(negative).replace('-', n.symbols.minusSign) : n.symbols.minusSign + of(positive)]
}

const current = Object.values(supplemental('currencyData').currencyData.region)
  .flatMap(list => list.flatMap(Object.entries)).filter(([, v]) => !v._to && v._tender !== 'false').map(([code]) => code)
const legal = [...new Set(current)].sort()

// symbolsOf returns a function that gives the symbol of a currency; its code where there is none.
function symbolsOf(folder) {
  const currencies = read(`cldr-numbers-full/main/${folder}/currencies.json`).main[folder].numbers.currencies
  return code => currencies[code]?.symbol ?? code
}

const symbolOf = symbolsOf('und') // which most locales have

function describeMoney(folder) {
  const n = numbersOf(folder), [amount, owed] = affixes(n.currency.standard, n)
  const here = symbolsOf(folder), symbols = Object.fromEntries(legal.map(code => [code, here(code)]).filter(([code, symbol]) => symbol !== symbolOf(code)))
  const made = {amount, owed, symbols}
  if (owed === n.symbols.minusSign + amount) delete made.owed
  if (n.symbols.currencyDecimal) made.decimal = n.symbols.currencyDecimal
  if (n.symbols.currencyGroup) made.group = n.symbols.currencyGroup
  return made
}

function describeLists(folder) {
  const all = read(`cldr-misc-full/main/${folder}/listPatterns.json`).main[folder].listPatterns
  const of = type => ['2', 'start', 'middle', 'end'].map(k => all[`listPattern-type-${type}`][k])
  return {and: of('standard'), units: of('unit')}
}

function describeDurations(folder) {
  const all = read(`cldr-units-full/main/${folder}/units.json`).main[folder].units.long
  return Object.fromEntries(units.map(unit => [unit, Object.fromEntries(Object.entries(all[`duration-${unit}`])
    .filter(([k]) => k.startsWith('unitPattern-count-')).map(([k, v]) => [k.slice(18), v]))]))
}

// shortNames calls f with the name of each zone and metazone that a locale has a short name for.
function shortNames(folder, f) {
  const all = read(`cldr-dates-full/main/${folder}/timeZoneNames.json`).main[folder].dates.timeZoneNames
  for (const [name, {short}] of Object.entries(all.metazone ?? {})) if (short) f(name, short)
  const walk = (of, path) => {
    for (const [name, v] of Object.entries(of)) {
      if (v?.short) f([...path, name].join('/'), v.short)
      else if (typeof v === 'object' && !v.long) walk(v, [...path, name])
    }
  }
  walk(all.zone ?? {}, [])
}

const named = new Set() // zones and metazones

function describeZones(folder) {
  const made = {}
  shortNames(folder, (name, {standard, daylight}) => {
    if (name === 'Etc/UTC') return
    const usable = s => s && s !== '∅∅∅' ? s : ''
    if (!usable(standard) && !usable(daylight)) return
    named.add(name)
    made[name] = [usable(standard), usable(daylight)]
  })
  return made
}

// offsets returns the standard offset of a zone from UTC and that in summer, in minutes.
function offsets(zone) {
  const of = when => {
    const p = Object.fromEntries(new Intl.DateTimeFormat('en-u-hc-h23', {timeZone: zone, year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric'})
      .formatToParts(when).map(p => [p.type, Number(p.value)]))
    return (Date.UTC(p.year, p.month - 1, p.day, p.hour, p.minute) - when) / 60000
  }
  const a = of(Date.UTC(2026, 0, 1)), b = of(Date.UTC(2026, 6, 1))
  return [Math.min(a, b), Math.max(a, b)]
}

// describeMetazones gives each metazone its offsets and zones, under all names that these have.
function describeMetazones() {
  const aliases = {}
  for (const {_alias} of Object.values(read('cldr-bcp47/bcp47/timezone.json').keyword.u.tz)) {
    const all = _alias?.split(' ') ?? []
    aliases[all[0]] = all
  }
  const golden = {}
  for (const {mapZone} of supplemental('metaZones').metaZones.metazones) if (mapZone._territory === '001') golden[mapZone._other] = mapZone._type
  const of = {}
  const walk = (zones, path) => {
    for (const [name, v] of Object.entries(zones)) {
      if (!Array.isArray(v)) { walk(v, [...path, name]); continue }
      const zone = [...path, name].join('/'), now = v.at(-1).usesMetazone
      if (named.has(zone)) (of[zone] ??= []).push(...(aliases[zone] ?? [zone]))
      if (now && !now._to && named.has(now._mzone)) (of[now._mzone] ??= []).push(...(aliases[zone] ?? [zone]))
    }
  }
  walk(supplemental('metaZones').metaZones.metazoneInfo.timezone, [])
  for (const name of [...named].sort()) if (of[name]) {
    const [standard, daylight] = offsets(golden[name] ?? name)
    table.metazones[name] = {standard, daylight: daylight > standard ? daylight : standard + 60, zones: [...new Set(of[name])].sort()}
  }
}

function describeRules() {
  for (const [language, rules] of Object.entries(supplemental('plurals')['plurals-type-cardinal'])) {
    const of = Object.fromEntries(Object.entries(rules).map(([k, v]) => [k.slice(17), v.split('@')[0].trim()]).filter(([k]) => k !== 'other'))
    table.rules[language] = intern(table.plurals, of)
  }
}

function describe(tag, folder) {
  const language = tag.split('-')[0], other = otherCalendars[language]
  const calendars = name => Object.values(read(`cldr-dates-full/main/${folder}/ca-${name}.json`).main[folder].dates.calendars)[0]
  const gregorian = calendars('gregorian')
  const calendar = other ? {...gregorian, dateTimeFormats: calendars('generic').dateTimeFormats} : gregorian
  const format = describeFormat(tag, folder, calendar, other)
  return [intern(table.formats, format), intern(table.numbers, describeNumber(folder)), intern(table.ranges, describeRanges(calendar, folder, format)), intern(table.lists, describeLists(folder)),
    intern(table.durations, describeDurations(folder)), intern(table.money, describeMoney(folder)), intern(table.zones, describeZones(folder))]
}

const letters = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZ']
const wide = ['-001', '-150', '-419']
const regions = ['', ...letters.flatMap(a => letters.map(b => '-' + a + b)), ...wide]
for (const language of languages) {
  for (const region of regions) {
    const folder = folderOf(language + region)
    if (folder) table.locales[language + region] = describe(language + region, folder)
  }
}
// A region that writes everything as its language does needs no entry.
const same = (a, b) => String(table.locales[a]) === String(table.locales[b])
for (const tag of Object.keys(table.locales)) {
  const language = languages.findLast(l => tag.startsWith(l + '-') && l !== tag)
  const parents = language ? [language, ...wide.map(r => language + r).filter(p => p in table.locales && p !== tag)] : []
  if (language && parents.every(p => same(p, tag))) delete table.locales[tag]
}
describeMetazones()
describeRules()
const {fractions} = supplemental('currencyData').currencyData
for (const code of legal) table.currencies[code] = Number(fractions[code]?._digits ?? 2)
for (const code of legal) if (symbolOf(code) !== code) table.symbols[code] = symbolOf(code)

const lines = o => Array.isArray(o) ? '[\n' + o.map(x => JSON.stringify(x)).join(',\n') + ']' : JSON.stringify(o)
const text = '{' + Object.entries(table).map(([k, v]) => JSON.stringify(k) + ': ' + lines(v)).join(',\n') + '}\n'
if (process.argv.includes('--check')) {
  if (!existsSync(here('../table.json')) || readFileSync(here('../table.json'), 'utf8') !== text) {
    console.error('internal/cldr/table.json is not what generate.mjs writes: run make generate')
    process.exit(1)
  }
} else {
  writeFileSync(here('../table.json'), text)
  for (const [k, v] of Object.entries(table)) console.error(k, Array.isArray(v) || typeof v === 'object' ? Object.keys(v).length : v, JSON.stringify(v).length)
  console.error(`${text.length} characters, ${Buffer.byteLength(text)} bytes`)
}
