package render

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"image"
	_ "image/gif"  // the kinds that all mail programs show
	_ "image/jpeg" // likewise
	_ "image/png"  // likewise
	"strings"
)

// MaxLogo is how large the file of a logo may be, in bytes: each mail carries it, in base64 with a third more.
const MaxLogo = 16 << 10

// The most that a logo measures: as a file, and as it is shown, in CSS pixels. A larger one is shown smaller, so that
// it is sharp on screens with more pixels.
const (
	maxPixels  = 2000
	maxShownX  = 480
	maxShownY  = 64
	logoDomain = "@tocsin"
)

// ParseLogo reads an image that is a PNG, JPEG or GIF, whatever its file is called. Its error completes "the file …".
func ParseLogo(content []byte) (*Logo, error) {
	if len(content) > MaxLogo {
		return nil, fmt.Errorf("has more than %d KB, and each mail would carry it: make it smaller", MaxLogo>>10)
	}
	c, kind, err := image.DecodeConfig(bytes.NewReader(content))
	switch {
	case errors.Is(err, image.ErrFormat):
		return nil, errors.New("is neither a PNG, a JPEG nor a GIF, which are the images that all mail programs show")
	case err != nil:
		return nil, fmt.Errorf("is no whole image: %w", err)
	case c.Width < 1 || c.Height < 1 || c.Width > maxPixels || c.Height > maxPixels:
		return nil, fmt.Errorf("measures %d × %d pixels: a logo has 1 to %d in each direction", c.Width, c.Height, maxPixels)
	}
	if _, _, err := image.Decode(bytes.NewReader(content)); err != nil {
		return nil, fmt.Errorf("is no whole image: %w", err)
	}
	l := &Logo{Content: content, Kind: "image/" + kind, Width: c.Width, Height: c.Height}
	if l.Height > maxShownY {
		l.Width, l.Height = max(1, l.Width*maxShownY/l.Height), maxShownY
	}
	if l.Width > maxShownX {
		l.Width, l.Height = maxShownX, max(1, l.Height*maxShownX/l.Width)
	}
	return l, nil
}

// embed puts the images of a mail into its HTML, where they stand by the IDs of their parts, so that the page shows
// them alone.
func (m *Message) embed() {
	for _, i := range m.images {
		m.HTML = strings.ReplaceAll(m.HTML, `"cid:`+i.id+`"`, `"data:`+i.kind+";base64,"+base64.StdEncoding.EncodeToString(i.content)+`"`)
	}
}

// partImage is an image of a mail.
type partImage struct {
	id, kind string
	content  []byte
}
