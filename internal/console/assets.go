package console

import (
	"bytes"
	"embed"
	"net/http"
	"path"
	"time"
)

//go:embed assets
var assetFiles embed.FS

// serveAsset serves a file of the console: the style sheet, the script, the icon.
func serveAsset(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	file, err := assetFiles.ReadFile(path.Join("assets", path.Base(name)))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=300") // a new version is there five minutes later at most
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(file))
}
