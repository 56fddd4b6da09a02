package render

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/language"
)

// Branding is how mails show who they come from.
type Branding struct {
	Name       string            // in the place of the sender's, in the body; "" = as the sender has it
	Header     string            // the colour behind the sender's name, as #rrggbb; "" = none
	HeaderText string            // and that of the name
	Link       string            // of links, and of the button; "" = a blue
	Logo       *Logo             // in the place of the sender's name; nil = none
	Footer     map[string]string // lines by language (BCP 47); "" is for all others
}

// Logo is an image that goes with each mail.
type Logo struct {
	Content       []byte
	Kind          string // image/png, image/jpeg or image/gif
	Width, Height int    // as it is shown, in CSS pixels
}

// defaultLink is the colour of links that no branding has: contrast 6.6 on white.
const defaultLink = "#0b5cad"

// pageColour is behind the card and the footer of the built-in layout: links are legible on it, and then on the white
// card too.
const pageColour = "#eef0f2"

// The most that a branding says.
const (
	maxBrandName   = 100  // characters
	maxFooter      = 1000 // bytes, in each language
	maxFooterLines = 12
)

// CheckLink refuses a colour of links that can't be read on the page of a mail.
func CheckLink(colour string) error { return CheckLegible(colour, pageColour) }

// CheckBrandName refuses a name that is not one line of text. Its error completes "the name …".
func CheckBrandName(name string) error {
	switch {
	case name == "" || clean(name) != name:
		return errors.New("is not one line of text")
	case utf8.RuneCountInString(name) > maxBrandName:
		return fmt.Errorf("is longer than %d characters", maxBrandName)
	}
	return nil
}

// ParseFooter returns the lines of a footer without the blanks around them. Its error completes "the footer …".
func ParseFooter(text string) (string, error) {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSpace(line)
		if clean(line) != lines[i] {
			return "", fmt.Errorf("has a character in line %d that no mail can show", i+1)
		}
	}
	text = strings.Join(lines, "\n")
	switch {
	case text == "":
		return "", errors.New("is empty")
	case len(text) > maxFooter || len(lines) > maxFooterLines:
		return "", fmt.Errorf("is longer than %d bytes or %d lines", maxFooter, maxFooterLines)
	}
	return text, nil
}

// CanonicalLanguage returns the BCP 47 form of a language tag, such as pt-BR for pt_br.
func CanonicalLanguage(name string) (string, error) {
	key, _, err := canonical(name)
	return key, err
}

// Branded returns a set for mails with a branding. Colours were checked.
func (s *Set) Branded(b Branding) *Set {
	branded := *s
	branded.branding = b
	if s.latest != nil {
		branded.latest = &latest{set: &branded, sum: s.latest.sum}
	}
	return &branded
}

// brand is a branding as layouts have it.
type brand struct {
	Header, HeaderText, Link string
	Logo                     *brandLogo
}

type brandLogo struct {
	ID            string // of its part (RFC 2392)
	Width, Height int
}

func (b Branding) brand() brand {
	to := brand{Header: b.Header, HeaderText: b.HeaderText, Link: b.Link}
	if to.Link == "" {
		to.Link = defaultLink
	}
	if b.Logo != nil {
		to.Logo = &brandLogo{b.Logo.id(), b.Logo.Width, b.Logo.Height}
	}
	return to
}

func (l *Logo) id() string {
	sum := sha256.Sum256(l.Content)
	return "logo." + hex.EncodeToString(sum[:8]) + logoDomain
}

// beside returns the part of a page together with the logo that it shows.
func (l *Logo) beside(page part) part {
	encoded := base64.StdEncoding.EncodeToString(l.Content)
	var body strings.Builder
	for line := range slices.Chunk([]byte(encoded), base64Line) {
		body.Write(line)
		body.WriteString("\r\n")
	}
	image := part{kind: l.Kind, header: "Content-ID: <" + l.id() + ">\r\nContent-Disposition: inline\r\nContent-Transfer-Encoding: base64\r\n",
		body: []piece{{Text: body.String()}}}
	return part{kind: "multipart/related; type=\"text/html\"", parts: []part{page, image}}
}

// footer is the end of a mail, for a layout.
type footer struct {
	Lines     []string
	Language  string // BCP 47; "" = not said
	Direction string // ltr or rtl; "" = that of the mail
}

// footer returns the footer for the readers of a text: its language's, without its region where need be, or the one for
// all others. It returns nil where there is none.
func (b Branding) footer(of *text) *footer {
	for tag := language.Make(of.key); tag != language.Und; tag = tag.Parent() {
		if said, ok := b.Footer[tag.String()]; ok {
			return &footer{strings.Split(said, "\n"), tag.String(), direction(tag)}
		}
	}
	if said := b.Footer[""]; said != "" {
		return &footer{Lines: strings.Split(said, "\n"), Direction: "auto"}
	}
	return nil
}
