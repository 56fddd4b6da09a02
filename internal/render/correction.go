package render

import (
	"maps"
	"slices"

	"tocsin/internal/notice"
)

// correctionsSection names the corrections of an amendment in errors.
const correctionsSection = "corrections"

// Corrections returns the two texts of an amendment, per language: the plain one, of those that Texts returned, and the
// correction. Each language has both. Of a template's the amendment has the languages of its corrections. Its error is
// an *notice.Error that names the language.
func Corrections(b notice.Body, texts map[string]notice.Text) (plain, corrections map[string]notice.Text, err error) {
	if corrections, err = canonicalKeys(correctionsSection, b.Corrections); err != nil {
		return nil, nil, err
	}
	plain = map[string]notice.Text{}
	for _, key := range slices.Sorted(maps.Keys(corrections)) {
		text, ok := texts[key]
		if !ok {
			return nil, nil, notice.Invalid(textsSection+"."+key, "is missing: mailboxes that no earlier version can have reached get it in place of the correction")
		}
		plain[key] = text
	}
	for _, key := range slices.Sorted(maps.Keys(texts)) {
		if _, ok := corrections[key]; !ok && b.Template == "" {
			return nil, nil, LacksCorrection(key)
		}
	}
	return plain, corrections, nil
}

// LacksCorrection is the error of an amendment without a correction in a language.
func LacksCorrection(key string) error {
	return notice.Invalid(correctionsSection+"."+key, "is missing: it is for readers of %s who may have got the wrong text, and must make sense alone", key)
}

// CorrectionOf is the source of the corrections of an amendment.
func CorrectionOf(b notice.Body, earlier []notice.Earlier, s Settings) Source {
	src := SourceOf(b.Correction(), b.Corrections, earlier, s)
	src.Correction = true
	return src
}

// Alone says of an amendment which correction does not make sense alone, as far as that can be told. Such a correction
// says no more than the plain text, or leaves out the times that the plain text gives. It returns nil where there is
// none.
func Alone(plain, correction *Program) *notice.Error {
	for _, key := range slices.Sorted(maps.Keys(plain.texts)) {
		p, c := plain.texts[key], correction.texts[key]
		switch {
		case c == nil:
		case p.source == c.source:
			return notice.Invalid(correctionsSection+"."+key, "is the same as the plain text: readers could not tell that it corrects what they got before")
		case p.writes.zone && !c.writes.zone:
			return notice.Invalid(correctionsSection+"."+key, "gives no time, and the plain text does: it must make sense alone")
		}
	}
	return nil
}
