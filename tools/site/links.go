package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// pageLink returns the link of a page for a link of its document.
func (p *page) pageLink(link string) string {
	target, anchor, ok := strings.Cut(link, "#")
	if target == "" || isOutside(link) {
		return link
	}
	if ok {
		anchor = "#" + anchor
	}
	name := path.Join(path.Dir(p.Source), target)
	if strings.HasSuffix(name, ".md") {
		return pagePath(name) + anchor
	}
	return copyPath(name)
}

// copyPath returns where the copy of a file of the repository stands. Browsers show a .txt, and would save a .go or a
// .yaml.
func copyPath(name string) string {
	switch path.Ext(name) {
	case ".png", ".svg", ".jpg":
		return "pictures/" + path.Base(name)
	}
	return "source/" + name + ".txt"
}

func isOutside(link string) bool {
	u, err := url.Parse(link)
	return err == nil && u.Scheme != ""
}

// checkLinks returns an error that names every link which leads nowhere, and notes the files that pages link to.
func (s *site) checkLinks() error {
	var wrong []error
	for _, p := range s.pages {
		for _, l := range p.links {
			if err := s.check(p, l.to); err != nil {
				wrong = append(wrong, fmt.Errorf("%s: (%s) %w", p.Source, l.to, err))
			}
		}
	}
	return errors.Join(wrong...)
}

func (s *site) check(p *page, link string) error {
	if isOutside(link) {
		if !strings.HasPrefix(link, "https://") && !strings.HasPrefix(link, "mailto:") && !strings.HasPrefix(link, "http://127.0.0.1") {
			return errors.New("is neither https nor mailto")
		}
		return nil
	}
	target, anchor, hasAnchor := strings.Cut(link, "#")
	name := p.Source
	if target != "" {
		name = path.Join(path.Dir(p.Source), target)
	}
	if to := s.pages[name]; to != nil {
		if hasAnchor && !to.anchors[anchor] {
			return fmt.Errorf("has no such heading in %s", name)
		}
		return nil
	}
	info, err := os.Stat(filepath.Join(s.source, filepath.FromSlash(name)))
	switch {
	case err != nil:
		return fmt.Errorf("leads to no file: %w", err)
	case info.IsDir():
		return errors.New("leads to a directory: name a file in it")
	case strings.HasSuffix(name, ".md"):
		return errors.New("leads to a document that has no page")
	}
	s.copied[name] = true
	return nil
}
