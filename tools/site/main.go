// Command site makes web pages of the Markdown documents in this repository: site -source .. -out ../bin/site. It fails
// where a link leads nowhere, in the documents as in the pages. docs/README.md is the first page, and its lists are the
// menu.
package main

import (
	_ "embed"
	"flag"
	"fmt"
	"html/template"
	"log"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// first is the document that becomes index.html.
const first = "docs/README.md"

//go:embed page.html
var layout string

//go:embed style.css
var style string

// page is a document, read and rendered.
type page struct {
	Source  string // its path in the repository, slash-separated
	Path    string // of the page, below the output directory
	Title   string
	Body    template.HTML
	Parts   []heading       // its sections, for the list at its top
	anchors map[string]bool // of all headings
	links   []link
}

// link is a link or a picture as it stands in a document.
type link struct {
	to, words string
	in        string // the anchor of the section that it stands in
}

// heading is a place in a page that links may name.
type heading struct {
	Level    int
	ID, Text string
}

func main() {
	log.SetFlags(0)
	source := flag.String("source", ".", "the `directory` of the repository")
	out := flag.String("out", "bin/site", "the `directory` of the pages; it is made anew")
	flag.Parse()
	s := site{source: *source, out: *out, pages: map[string]*page{}, copied: map[string]bool{}}
	if err := s.make(); err != nil {
		log.Fatalf("site: %v", err)
	}
	fmt.Printf("%d pages and %d files in %s, all links lead somewhere\n", len(s.pages), len(s.copied), *out)
}

// site is the pages under way.
type site struct {
	source, out string
	pages       map[string]*page // by their source
	copied      map[string]bool  // pictures and files of the repository that pages link to
}

func (s *site) make() error {
	sources, err := filepath.Glob(filepath.Join(s.source, "docs", "*.md"))
	if err != nil || len(sources) == 0 {
		return fmt.Errorf("there are no documents in %s/docs: %w", s.source, err)
	}
	for _, name := range []string{"README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"} {
		sources = append(sources, filepath.Join(s.source, name))
	}
	for _, file := range sources {
		name, err := filepath.Rel(s.source, file)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		p := &page{Source: filepath.ToSlash(name), Path: pagePath(filepath.ToSlash(name)), anchors: map[string]bool{}}
		s.pages[p.Source] = p
		if err := p.render(text); err != nil {
			return fmt.Errorf("%s: %w", p.Source, err)
		}
	}
	if err := s.checkLinks(); err != nil {
		return err
	}
	return s.write()
}

// pagePath returns where the page of a document stands: all in one directory.
func pagePath(source string) string {
	switch {
	case source == first:
		return "index.html"
	case path.Dir(source) == ".":
		return strings.ToLower(strings.TrimSuffix(source, ".md")) + ".html"
	}
	return strings.TrimSuffix(path.Base(source), ".md") + ".html"
}

func (s *site) write() error {
	if err := os.RemoveAll(s.out); err != nil {
		return err
	}
	if err := s.put("style.css", []byte(style)); err != nil {
		return err
	}
	for name := range s.copied {
		text, err := os.ReadFile(filepath.Join(s.source, filepath.FromSlash(name)))
		if err != nil {
			return err
		}
		if err := s.put(copyPath(name), text); err != nil {
			return err
		}
	}
	frame, err := template.New("page").Parse(layout)
	if err != nil {
		return err
	}
	menu := s.menu()
	for _, p := range s.pages {
		var b strings.Builder
		if err := frame.Execute(&b, map[string]any{"Page": p, "Menu": menu}); err != nil {
			return fmt.Errorf("%s: %w", p.Source, err)
		}
		if err := s.put(p.Path, []byte(b.String())); err != nil {
			return err
		}
	}
	return nil
}

func (s *site) put(name string, text []byte) error {
	file := filepath.Join(s.out, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o644)
}

// section is a kind of documents in the menu.
type section struct {
	Title string
	Pages []entry
}

// entry is a line of the menu: the page, and the words by which the first page links to it.
type entry struct {
	*page
	Words string
}

// menu lists the pages by the sections of the first page, each where it is named first.
func (s *site) menu() (all []section) {
	index := s.pages[first]
	seen := map[string]bool{first: true}
	for _, part := range index.Parts {
		title, _, _ := strings.Cut(part.Text, ":")
		all = append(all, section{Title: title})
	}
	for _, l := range index.links {
		name, _, _ := strings.Cut(l.to, "#")
		target := path.Join("docs", name)
		if p := s.pages[target]; p != nil && !seen[target] {
			seen[target] = true
			i := slices.IndexFunc(index.Parts, func(h heading) bool { return h.ID == l.in })
			if i >= 0 {
				all[i].Pages = append(all[i].Pages, entry{p, l.words})
			}
		}
	}
	return all
}
