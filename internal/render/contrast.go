package render

import (
	"encoding/hex"
	"fmt"
	"math"
	"strings"
)

// LeastContrast is how much text and its background have to differ (WCAG 2.2, 1.4.3, level AA).
const LeastContrast = 4.5

// Contrast returns the contrast of two colours such as #0b5cad, from 1 to 21, as WCAG 2.2 defines it.
func Contrast(a, b string) (float64, error) {
	l, err := luminance(a)
	if err != nil {
		return 0, err
	}
	m, err := luminance(b)
	if err != nil {
		return 0, err
	}
	return (max(l, m) + 0.05) / (min(l, m) + 0.05), nil
}

// CheckLegible refuses a colour of text that lacks contrast with the one behind it. Its error completes "the colour …",
// and says which would do.
func CheckLegible(text, behind string) error {
	c, err := Contrast(text, behind)
	if err != nil || c >= LeastContrast {
		return err
	}
	return fmt.Errorf("on %s has a contrast of %.2f, and text needs %.1f to be read (WCAG AA): %s would do",
		behind, math.Floor(c*100)/100, LeastContrast, Legible(text, behind))
}

// Legible returns the shade of a colour, as near to it as can be, that is legible on another; both are colours such as
// #0b5cad.
func Legible(text, behind string) string {
	for step := range 256 {
		for _, end := range []int{0, 255} {
			shade := shaded(text, end, step)
			if c, err := Contrast(shade, behind); err == nil && c >= LeastContrast {
				return shade
			}
		}
	}
	return "#000000"
}

// shaded mixes a colour with black, which is 0, or white, 255: step of 255 parts are of that.
func shaded(colour string, end, step int) string {
	rgb, _ := hex.DecodeString(strings.TrimPrefix(colour, "#"))
	for i, c := range rgb {
		rgb[i] = byte(int(c) + (end-int(c))*step/255)
	}
	return "#" + hex.EncodeToString(rgb)
}

// luminance is the relative luminance of a colour in sRGB.
func luminance(colour string) (float64, error) {
	rgb, err := hex.DecodeString(strings.TrimPrefix(colour, "#"))
	if err != nil || len(rgb) != 3 || colour[0] != '#' {
		return 0, fmt.Errorf("%q is not a colour such as #0b5cad", colour)
	}
	sum := 0.0
	for i, share := range []float64{0.2126, 0.7152, 0.0722} {
		c := float64(rgb[i]) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += share * c
	}
	return sum, nil
}
