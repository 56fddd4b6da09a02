package cldr

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Money is how amounts are written.
type Money struct {
	Amount  string            `json:"amount"`         // {n} and {c}, the currency
	Owed    string            `json:"owed,omitempty"` // of negative ones; "" = with the sign before
	Decimal string            `json:"decimal,omitempty"`
	Group   string            `json:"group,omitempty"` // "" = that of numbers
	Symbols map[string]string `json:"symbols"`         // by code; a currency that is not here is written by its code
	Digits  map[string]int    `json:"digits"`          // after the decimal sign, of all currencies
}

// fill adds the symbols that most locales have in common.
func (m *Money) fill(t *table) {
	m.Digits = t.Currencies
	own := m.Symbols
	m.Symbols = map[string]string{}
	for _, symbols := range []map[string]string{t.Symbols, own} {
		for code, symbol := range symbols {
			m.Symbols[code] = symbol
		}
	}
}

// IsCurrency reports whether code is the ISO 4217 code of a currency that is in use.
func IsCurrency(code string) bool {
	_, ok := load().Currencies[code]
	return ok
}

// MoneyOf writes a decimal number as an amount in a currency, with at least as many digits behind the decimal sign as the
// currency has. It never rounds.
func (l *Locale) MoneyOf(number, currency string) string {
	digits := 2
	if l.Money != nil {
		digits = l.Money.Digits[currency]
	}
	whole, fraction, _ := strings.Cut(number, ".")
	if fraction = strings.TrimRight(fraction, "0"); len(fraction) < digits {
		fraction += strings.Repeat("0", digits-len(fraction))
	}
	negative := whole[0] == '-'
	if number = strings.TrimLeft(whole, "+-"); fraction != "" {
		number += "." + fraction
	}
	if l.Money == nil || l.Format == nil {
		if negative {
			number = "-" + number
		}
		return currency + "\u00a0" + number
	}
	n := l.Format.Number
	n.Decimal, n.Group = or(l.Money.Decimal, n.Decimal), or(l.Money.Group, n.Group)
	pattern := l.Money.Amount
	if negative {
		pattern = or(l.Money.Owed, n.Minus+pattern)
	}
	return l.amount(pattern, n.write(number), or(l.Money.Symbols[currency], currency))
}

// amount fills a pattern. A symbol that ends in a letter does not touch the digits (UTS #35, currencySpacing).
func (l *Locale) amount(pattern, number, symbol string) string {
	last, _ := utf8.DecodeLastRuneInString(symbol)
	first, _ := utf8.DecodeRuneInString(symbol)
	if spaced(last) {
		pattern = strings.Replace(pattern, "{c}{n}", "{c}\u00a0{n}", 1)
	}
	if spaced(first) {
		pattern = strings.Replace(pattern, "{n}{c}", "{n}\u00a0{c}", 1)
	}
	return strings.NewReplacer("{n}", number, "{c}", symbol).Replace(pattern)
}

func spaced(r rune) bool { return !unicode.Is(unicode.S, r) && !unicode.Is(unicode.Z, r) }

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
