package render

import (
	"bytes"
	"errors"
	htmltemplate "html/template"
	"io/fs"
	"maps"
	"net/mail"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	gomail "github.com/wneessen/go-mail"
	"golang.org/x/net/html"
	"pgregory.net/rapid"

	"tocsin/internal/notice"
)

// reference renders a mail without compiling it. All values are put into the texts of this one recipient, the layouts
// are executed around them, and go-mail builds the message.
func reference(p *Program, r notice.Recipient, key string, st Stamp) ([]byte, error) {
	reader, err := p.reader(keyOf(r, key))
	if err != nil {
		return nil, err
	}
	data := p.layoutData(reader)
	var subjects, languages []string
	for i, t := range reader.texts {
		sections, err := p.sections(reader, r)
		if err != nil {
			return nil, err
		}
		subject, text, page, err := referenceSections(p, t, func(r notice.Recipient) env { return p.env(reader, i, r) }, r, sections)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(subjects, subject) {
			subjects = append(subjects, subject)
		}
		languages = append(languages, t.key)
		data.Blocks[i].HTML, data.Blocks[i].Text = htmltemplate.HTML(page), text
	}
	data.Subject = strings.Join(subjects, " / ")
	page, err := p.layouts.page(data)
	if err != nil {
		return nil, err
	}
	plain, err := p.layouts.plain(data)
	if err != nil {
		return nil, err
	}
	return referenceMessage(p, r, data.Subject, strings.TrimSpace(plain)+"\n", page, languages, st)
}

// referenceSections returns the text of one language, with a section for each group of customers.
func referenceSections(p *Program, t *text, in func(notice.Recipient) env, r notice.Recipient, groups [][]int) (subject, text, page string, err error) {
	if groups == nil {
		return referenceBlock(p, t, in(r))
	}
	for i, numbers := range groups {
		part := r
		part.Customers = nil
		var accounts []string
		for _, n := range numbers {
			c := r.Customers[n]
			part.Customers = append(part.Customers, c)
			id, name := isolate(clean(c.ID), t.dir == "rtl"), isolate(clean(c.Name), t.dir == "rtl")
			if name != "" {
				id = name + " (" + id + ")"
			}
			accounts = append(accounts, id)
		}
		if slices.ContainsFunc(part.Customers, func(c notice.Frozen) bool { return clean(c.ID) == "" }) {
			return "", "", "", errors.New("a heading with a hole")
		}
		itsSubject, itsText, itsPage, err := referenceBlock(p, t, in(part))
		if err != nil {
			return "", "", "", err
		}
		heading := strings.Join(accounts, ", ")
		if i == 0 {
			subject = itsSubject
		} else {
			text += "\n----------\n\n"
		}
		l, w := &line{Underline: "="}, writer{plain: true}
		l.Pieces = []piece{{Text: heading}}
		w.line(l, nil)
		text += string(w.buf) + "\n" + itsText
		page += "<div class=\"section\">\n<p class=\"accounts\">" + htmltemplate.HTMLEscapeString(heading) + "</p>\n" + itsPage + "</div>\n"
	}
	return subject, text, page, nil
}

// referenceBlock returns the text of one language with the values of one recipient in it.
func referenceBlock(p *Program, t *text, e env) (subject, text, page string, err error) {
	v := &values{mail: &Mail{Locales: []locale{*e.locale}}, index: map[string]int{}}
	run := runner{env: e, out: &expander{tokens: t.tokens, values: v}}
	known := func(n *nodes) ([]print, error) {
		run.begin(n)
		if err := run.run(n.all); err != nil {
			return nil, err
		}
		for i, p := range run.out.prints {
			if p.value > 0 {
				v, err := e.eval(v.mail.Values[p.value-1].Expr)
				if err != nil {
					return nil, err
				}
				if p.s, err = e.print(v, p.at); err != nil {
					return nil, err
				}
				p.value, p.text = 0, v.kind == kindText
				run.out.prints[i] = p
			}
		}
		return run.out.prints, nil
	}
	b := &block{tokens: t.tokens, rtl: e.RTL, values: v}
	if b.prints, err = known(&t.subject); err != nil {
		return "", "", "", err
	}
	for _, p := range b.expand(nil, run.out.text.String(), 0) {
		subject += p.Text
	}
	if b.prints, err = known(&t.body); err != nil {
		return "", "", "", err
	}
	doc, tokens, md, err := p.converter.convert(run.out.text.String())
	if err != nil {
		return "", "", "", err
	}
	b.write(doc, md)
	for _, p := range b.text {
		text += p.Text
	}
	page, err = substitute(b, tokens)
	return strings.Join(strings.Fields(subject), " "), text, page, err
}

// inPath finds the characters that are escaped in an address: all but those that are unreserved, reserved, or escaped
// already.
var inPath = regexp.MustCompile(`%[0-9a-fA-F]{2}|[^A-Za-z0-9._~!#$&*+,/:;=?@\[\]-]`)

// substitute puts values in the place of tokens in the nodes that a browser's parser makes of HTML.
func substitute(b *block, page string) (string, error) {
	root, err := html.Parse(strings.NewReader("<body>" + page))
	if err != nil {
		return "", err
	}
	put := func(s string, form int) string {
		return b.tokens.form.ReplaceAllStringFunc(s, func(token string) string {
			p := b.prints[b.tokens.number(token)]
			switch {
			case form == formURL:
				return inPath.ReplaceAllStringFunc(p.s, func(s string) string {
					if len(s) == 3 && s[0] == '%' {
						return s
					}
					return strings.NewReplacer("'", "%27", "(", "%28", ")", "%29").Replace(url.PathEscape(s))
				})
			case form == formQuery:
				return strings.ReplaceAll(url.QueryEscape(p.s), "+", "%20")
			case form == formIsolated && p.text:
				return isolate(p.s, b.rtl)
			}
			return p.s
		})
	}
	code := false
	var walk func(n *html.Node)
	walk = func(n *html.Node) {
		code = code || n.Data == "code"
		if n.Type == html.TextNode {
			n.Data = put(n.Data, map[bool]int{true: 0, false: formIsolated}[code])
		}
		for i, a := range n.Attr {
			n.Attr[i].Val = put(a.Val, 0)
			if a.Key == "href" || a.Key == "src" {
				address, query := a.Val, ""
				if cut := strings.IndexAny(a.Val, "?#"); cut >= 0 {
					address, query = a.Val[:cut], a.Val[cut:]
				}
				n.Attr[i].Val = put(address, formURL) + put(query, formQuery)
			}
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
		code = code && n.Data != "code"
	}
	walk(root)
	var out strings.Builder
	for c := root.FirstChild.LastChild.FirstChild; c != nil; c = c.NextSibling {
		if err := html.Render(&out, c); err != nil {
			return "", err
		}
	}
	return out.String(), nil
}

func referenceMessage(p *Program, r notice.Recipient, subject, text, page string, languages []string, st Stamp) ([]byte, error) {
	to, err := parseMailbox(r.Address)
	if err != nil {
		return nil, err
	}
	m := gomail.NewMsg(gomail.WithNoDefaultUserAgent(), gomail.WithCharset(gomail.CharsetUTF8), gomail.WithEncoding(gomail.EncodingQP))
	m.FromMailAddress(p.from)
	m.ToMailAddress(to)
	if p.replyTo != nil {
		m.ReplyToMailAddress(p.replyTo)
	}
	m.SetDateWithValue(st.Date)
	m.SetGenHeader(gomail.HeaderSubject, encodeHeader(subject))
	m.SetGenHeader(gomail.HeaderMessageID, st.MessageID)
	m.SetGenHeader(gomail.HeaderInReplyTo, st.Thread[0])
	m.SetGenHeader(gomail.HeaderReferences, strings.Join(st.Thread, " "))
	m.SetGenHeader(gomail.HeaderContentLang, strings.Join(languages, ", "))
	m.SetGenHeader("Auto-Submitted", "auto-generated")
	m.SetGenHeader("X-Auto-Response-Suppress", "OOF, AutoReply")
	m.SetGenHeader("X-Notice", st.NoticeKey)
	m.SetGenHeader("List-Id", "<"+listID(p.from)+">")
	m.SetGenHeader("Feedback-ID", p.feedbackID())
	m.SetBodyString(gomail.TypeTextPlain, text)
	m.AddAlternativeString(gomail.TypeTextHTML, page)
	var b bytes.Buffer
	_, err = m.WriteTo(&b)
	return b.Bytes(), err
}

// seen is a message as programs that are not ours read it; of the HTML part, the tree.
type seen struct {
	Headers    map[string]string
	Text, HTML string
}

func see(t fataler, raw []byte) seen {
	p := read(t, raw)
	s := seen{Headers: map[string]string{}, Text: p.text}
	for name := range p.header {
		s.Headers[name] = header(t, p.header, name)
	}
	delete(s.Headers, "Content-Type") // read has looked at it; boundaries differ
	for _, name := range []string{"From", "To", "Reply-To"} {
		if a, err := mail.ParseAddress(p.header.Get(name)); err == nil {
			s.Headers[name] = a.Name + " " + a.Address
		}
	}
	root, err := html.Parse(strings.NewReader(p.html))
	if err != nil {
		t.Fatalf("%v", err)
	}
	var tree strings.Builder
	if err := html.Render(&tree, root); err != nil {
		t.Fatalf("%v", err)
	}
	s.HTML = tree.String()
	return s
}

// bodies returns every notice of the ready templates, and the examples.
func bodies(t *testing.T) map[string]notice.Body {
	all := map[string]notice.Body{}
	s := builtin()
	for name := range s.templates() {
		for _, phase := range anyPhase() {
			f, err := s.template(name, phase)
			if err != nil || f.name != name {
				continue
			}
			b := outage()
			b.Kind, b.Phase, b.Template, b.Parameters = kindOf(phase), phase, name, given(f.Required)
			maps.Copy(b.Parameters, given(f.Optional))
			all[name+" "+phase] = b
		}
	}
	examples := os.DirFS("../../examples")
	texts, err := fs.Glob(examples, "*/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range texts {
		content, err := fs.ReadFile(examples, file)
		if err != nil {
			t.Fatal(err)
		}
		text, err := ReadText(file, content)
		if err != nil {
			t.Fatal(err)
		}
		language := strings.TrimSuffix(path.Base(file), ".md")
		b, ok := all[path.Dir(file)]
		if !ok {
			b = outage()
			b.Template, b.DefaultLanguage, b.Texts = "", language, map[string]notice.Text{}
		}
		for _, m := range parameterName.FindAllStringSubmatch(text.Subject+text.Body, -1) {
			b.Parameters[m[2]] = notice.Parameter{Text: "2026-11-09T21:00"}
			if m[1] == "number" {
				b.Parameters[m[2]] = notice.Parameter{Text: "23543639"}
			}
		}
		b.Texts[language] = text
		all[path.Dir(file)] = b
	}
	return all
}

// TestACompiledMailIsTheReferenceRendering compares, after decoding, for customers of all kinds.
func TestACompiledMailIsTheReferenceRendering(t *testing.T) {
	t.Parallel()
	programs := map[string]*Program{}
	for name, b := range bodies(t) {
		for _, b.Stacked = range []notice.Stacking{notice.StackNever, notice.StackAlways} {
			programs[name+" "+string(b.Stacked)] = compile(t, b)
		}
	}
	programs["own"] = compile(t, own("{{.Customer.Name}}: {{len .Customers}}", everything))
	programs["own in Arabic"] = compile(t, arabic())
	if len(programs) < 30 {
		t.Fatalf("only %d notices", len(programs))
	}
	names := slices.Sorted(maps.Keys(programs))
	drawn, compared := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(names).Draw(t, "notice")
		p := programs[name]
		r := recipients().Draw(t, "recipient")
		key := rapid.SampledFrom(slices.Sorted(maps.Keys(p.texts))).Draw(t, "text")
		drawn++
		var got []byte
		m, err := p.Compiled(r, key)
		if err == nil {
			got, err = m.Append(nil, r, stamp())
		}
		want, wantErr := reference(p, r, key, stamp())
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("compiled: %v, reference: %v", err, wantErr)
		}
		if err != nil {
			return
		}
		compared++
		if diff := cmp.Diff(see(t, want), see(t, got)); diff != "" {
			t.Fatalf("%s (-reference +compiled):\n%s", name, diff)
		}
		for line := range bytes.SplitSeq(got, []byte("\r\n")) {
			if bytes.HasPrefix(line, []byte(".")) || len(line) > 76 {
				t.Fatalf("a line begins with a dot, or is longer than 76: %s", line)
			}
		}
		decoded, err := Decode(m.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if again, err := decoded.Append([]byte("x"), r, stamp()); err != nil || string(again) != "x"+string(got) {
			t.Fatalf("a decoded mail is another: %v", err)
		}
		if !bytes.Equal(decoded.Encode(), m.Encode()) {
			t.Fatal("a decoded mail has another encoding")
		}
	})
	if compared < drawn/10 {
		t.Errorf("only %d of %d mails have no hole", compared, drawn)
	}
	t.Logf("%d mails compared, %d with a hole", compared, drawn-compared)
}

// given returns parameters that are the same in every language.
func given(values map[string]string) map[string]notice.Parameter {
	all := map[string]notice.Parameter{}
	for name, value := range values {
		all[name] = notice.Parameter{Text: value}
	}
	return all
}

var parameterName = regexp.MustCompile(`(number|date)? *\.Parameters\.([a-z_]+)`)
