package console

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"tocsin/internal/directory"
	"tocsin/internal/notice"
)

// composingView is the page of all drafts that people write, and of new ones.
type composingView struct {
	*Frame
	Drafts []savedRow
	Kinds  []notice.Kind
}

// savedRow is a draft in the list.
type savedRow struct {
	notice.SavedDraft
	Key string // of the notice; "" where notice.yaml says none
}

// composing lists the drafts that people write.
func (c *Console) composing(r *http.Request) (view, error) {
	v := &composingView{Frame: c.frame(r, "compose.title"), Kinds: notice.Kinds}
	all, err := c.Book.SavedDrafts(r.Context())
	for _, s := range all {
		v.Drafts = append(v.Drafts, savedRow{s, keyOf(s.Files)})
	}
	return v, err
}

// keyOf is the key of a notice by its notice.yaml, as far as that can be read.
func keyOf(files directory.Files) string {
	body, _ := directory.ReadFiles(files.FS())
	if body.Key != "" {
		return body.Key
	}
	for line := range strings.Lines(string(files[directory.Manifest])) {
		if key, ok := strings.CutPrefix(line, "key:"); ok && notice.ValidKey(strings.TrimSpace(key)) {
			return strings.TrimSpace(key)
		}
	}
	return ""
}

// beginDraft makes a draft and shows it: of a new incident of a kind, of an update that follows a notice, or of a notice
// to the customers that one did not reach.
func (c *Console) beginDraft(w http.ResponseWriter, r *http.Request) {
	if before := r.PostFormValue("after"); before != "" {
		c.beginUpdate(w, r, before)
		return
	}
	if before := r.PostFormValue("missed"); before != "" {
		c.beginAgain(w, r, before)
		return
	}
	kind := notice.Kind(r.PostFormValue("kind"))
	if !slices.Contains(notice.Kinds, kind) {
		c.fail(w, r, notice.Invalid("kind", "is none of outage, maintenance, advisory"))
		return
	}
	c.addDraft(w, r, blank(kind, time.Now().In(c.frame(r, "compose.title").Zone)))
}

func (c *Console) beginUpdate(w http.ResponseWriter, r *http.Request, before string) {
	body, err := c.Book.NoticeBody(r.Context(), before)
	var files directory.Files
	if err == nil {
		files, err = directory.Update(body, c.taken(r))
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	c.addDraft(w, r, files)
}

func (c *Console) beginAgain(w http.ResponseWriter, r *http.Request, before string) {
	report, err := c.missed(r, before)
	var body notice.Body
	if err == nil {
		body, err = c.Book.NoticeBody(r.Context(), before)
	}
	var files directory.Files
	if err == nil {
		files, err = directory.Again(body, report.NotReached, c.taken(r))
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	c.addDraft(w, r, files)
}

// blank is the directory of a notice that says nothing yet.
func blank(kind notice.Kind, now time.Time) directory.Files {
	incident, phase := fmt.Sprintf("%s-%s", kind, now.Format("2006-01-02-1504")), notice.Phases[kind][0]
	manifest := fmt.Sprintf("key: %s.%s\nincident: %s\nkind: %s\nphase: %s\naudience:\n", incident, phase, incident, kind, phase)
	if now.Location() != time.UTC {
		manifest += "zone: " + now.Location().String() + "\n"
	}
	if kind == notice.Maintenance {
		manifest += "# windows: [{start: " + now.Format("2006-01-02") + "T21:00, end: " + now.AddDate(0, 0, 1).Format("2006-01-02") + "T00:00}]\n"
	}
	return directory.Files{directory.Manifest: []byte(manifest), "en.md": joinText("", "")}
}

func (c *Console) addDraft(w http.ResponseWriter, r *http.Request, files directory.Files) {
	who, _ := notice.Pressed(r.Context())
	id, err := c.Book.AddSavedDraft(r.Context(), files, who)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	http.Redirect(w, r, fmt.Sprintf("/compose/%d", id), http.StatusSeeOther)
}

// importDraft makes a draft of the directory in an archive.
func (c *Console) importDraft(w http.ResponseWriter, r *http.Request) {
	_, content, err := upload(r)
	var files directory.Files
	if err == nil {
		files, err = directory.Unpack(content)
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	c.addDraft(w, r, files)
}

// upload reads the one file that a form sends.
func upload(r *http.Request) (name string, content []byte, err error) {
	file, header, err := r.FormFile("file")
	if err != nil {
		if tooLarge(err) {
			return "", nil, notice.Invalid("file", "is larger than %d MiB", directory.MostBytes>>20)
		}
		return "", nil, notice.Invalid("file", "is missing: choose one")
	}
	defer file.Close()
	content, err = io.ReadAll(file)
	return header.Filename, content, err
}

func tooLarge(err error) bool {
	_, is := errors.AsType[*http.MaxBytesError](err)
	return is
}

// savedDraft reads the draft that a path names.
func (c *Console) savedDraft(r *http.Request) (notice.SavedDraft, error) {
	id, err := strconv.ParseInt(r.PathValue("draft"), 10, 64)
	if err != nil {
		return notice.SavedDraft{}, notice.NotFound("there is no such draft")
	}
	return c.Book.SavedDraft(r.Context(), id)
}

// exportDraft answers with the directory as a file, which tocsin notice send takes once it is unpacked.
func (c *Console) exportDraft(w http.ResponseWriter, r *http.Request) {
	s, err := c.savedDraft(r)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	name := keyOf(s.Files)
	if name == "" {
		name = fmt.Sprintf("draft-%d", s.Number)
	}
	w.Header().Set("Content-Type", "application/zip")
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s.zip"`, name))
	_ = directory.Files(s.Files).Zip(w, name) // fails only if the reader has gone
}

// deleteSaved deletes a draft that was being written.
func (c *Console) deleteSaved(w http.ResponseWriter, r *http.Request) {
	s, err := c.savedDraft(r)
	if err == nil {
		who, _ := notice.Pressed(r.Context())
		err = c.Book.DeleteSavedDraft(r.Context(), s.Number, who)
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/compose", http.StatusSeeOther)
}

// addFile puts a file of the reader's into a draft, such as a list of customers.
func (c *Console) addFile(w http.ResponseWriter, r *http.Request) {
	s, err := c.savedDraft(r)
	var name string
	var content []byte
	if err == nil {
		name, content, err = upload(r)
	}
	if err == nil {
		files := directory.Files(maps.Clone(s.Files))
		files[name] = content
		if err = files.Check(); err == nil {
			who, _ := notice.Pressed(r.Context())
			_, err = c.Book.SaveDraft(r.Context(), s.Number, s.Version, files, who)
		}
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	http.Redirect(w, r, fmt.Sprintf("/compose/%d", s.Number), http.StatusSeeOther)
}
