package console

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// framed returns the HTML of a mail as it can be shown under a policy that lets nothing inline in: its styles stand in
// elements, and styles are the sources of a style-src that names each by its hash (CSP 3 §8.2).
func framed(text string) (document string, styles []string) {
	root, err := html.Parse(strings.NewReader(text))
	if err != nil { // of the reader alone, and this one has none
		return "", []string{"'none'"}
	}
	f := framing{classes: map[string]string{}}
	f.walk(root)
	if f.rules.Len() > 0 {
		style := &html.Node{Type: html.ElementNode, Data: "style", DataAtom: atom.Style}
		style.AppendChild(&html.Node{Type: html.TextNode, Data: f.rules.String()})
		head(root).AppendChild(style)
		f.hash(f.rules.String())
	}
	if len(f.hashes) == 0 {
		f.hashes = []string{"'none'"}
	}
	var b strings.Builder
	_ = html.Render(&b, root) // fails only if the writer does
	return b.String(), f.hashes
}

// framing is a document on its way.
type framing struct {
	classes map[string]string // by style
	rules   strings.Builder
	hashes  []string
}

func (f *framing) hash(style string) {
	sum := sha256.Sum256([]byte(style))
	f.hashes = append(f.hashes, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
}

func (f *framing) walk(n *html.Node) {
	if n.Type == html.ElementNode {
		f.clean(n)
	}
	for c := n.FirstChild; c != nil; {
		next := c.NextSibling
		if c.Type == html.ElementNode && loads[c.DataAtom] {
			n.RemoveChild(c)
		} else {
			f.walk(c)
		}
		c = next
	}
}

// loads are elements that would load or run something.
var loads = map[atom.Atom]bool{atom.Script: true, atom.Link: true, atom.Iframe: true, atom.Object: true, atom.Embed: true, atom.Base: true, atom.Frame: true,
	atom.Svg: true, atom.Math: true} // these two have a grammar of their own

// clean puts a class in the place of a style, and takes away sources from elsewhere, which the policy would refuse.
func (f *framing) clean(n *html.Node) {
	if n.DataAtom == atom.Style {
		text := ""
		if n.FirstChild != nil {
			text = n.FirstChild.Data
		}
		f.hash(text)
	}
	var kept []html.Attribute
	class := ""
	for _, a := range n.Attr {
		switch key := strings.ToLower(a.Key); {
		case key == "style":
			class += " " + f.class(a.Val)
		case key == "class":
			class += " " + a.Val
		case strings.HasPrefix(key, "on"), key == "background", key == "srcset", key == "src" && !strings.HasPrefix(a.Val, "data:image/"):
		default:
			kept = append(kept, a)
		}
	}
	if class = strings.TrimSpace(class); class != "" {
		kept = append(kept, html.Attribute{Key: "class", Val: class})
	}
	n.Attr = kept
}

// class is the class of a style. It is named four times, to go before other rules, as a style of an element does.
func (f *framing) class(style string) string {
	name, ok := f.classes[style]
	if !ok {
		name = fmt.Sprintf("tocsin-%d", len(f.classes))
		f.classes[style] = name
		fmt.Fprintf(&f.rules, ".%[1]s.%[1]s.%[1]s.%[1]s{%[2]s}\n", name, strings.NewReplacer("{", "", "}", "", "<", "").Replace(style))
	}
	return name
}

// head is the head of a parsed document, which always has one.
func head(n *html.Node) *html.Node {
	if n.DataAtom == atom.Head {
		return n
	}
	for c := range n.ChildNodes() {
		if found := head(c); found != nil {
			return found
		}
	}
	return nil
}
