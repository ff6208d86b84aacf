package assets_test

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/png"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"changeover/platform/assets"
)

func picture(t testing.TB, width, height int) []byte {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, width, height))
	m.Set(0, 0, color.RGBA{R: 255, A: 255})
	var out bytes.Buffer
	if err := png.Encode(&out, m); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// s3 is an S3 server in this process, and the address of a bucket in it.
func s3(t *testing.T) string {
	t.Helper()
	backend := s3mem.New()
	server := httptest.NewServer(gofakes3.New(backend).Server())
	t.Cleanup(server.Close)
	if err := backend.CreateBucket("school"); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	return "s3://school?region=eu-west-1&use_path_style=true&endpoint=" + server.URL
}

// The contract of a bucket, over each kind of them.
func TestABucketKeepsWhatIsPutIntoIt(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "not", "there", "yet")
	for name, at := range map[string]string{"files": "file://" + folder, "S3": s3(t)} {
		t.Run(name, func(t *testing.T) {
			b, err := assets.OpenBucket(t.Context(), at)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = b.Close() }()
			for key, body := range map[string][]byte{"projects/a/1": []byte("one"), "projects/a/2": {}, "projects/b/1": bytes.Repeat([]byte{0, 255}, 4<<20)} {
				if _, err := b.Open(t.Context(), key); !errors.Is(err, assets.ErrNotFound) {
					t.Fatalf("%s is there already: %v", key, err)
				}
				for range 2 { // a retry puts the same again
					if err := b.Put(t.Context(), key, "image/png", body); err != nil {
						t.Fatal(err)
					}
				}
				in, err := b.Open(t.Context(), key)
				if err != nil {
					t.Fatal(err)
				}
				found, err := io.ReadAll(in)
				_ = in.Close()
				if err != nil || !bytes.Equal(found, body) {
					t.Fatalf("%s has %d bytes, %v; %d were put", key, len(found), err, len(body))
				}
				for range 2 {
					if err := b.Delete(t.Context(), key); err != nil {
						t.Fatal(err)
					}
				}
				if _, err := b.Open(t.Context(), key); !errors.Is(err, assets.ErrNotFound) {
					t.Fatalf("%s is still there: %v", key, err)
				}
			}
		})
	}
	left := 0
	_ = filepath.WalkDir(folder, func(_ string, d os.DirEntry, _ error) error {
		if !d.IsDir() {
			left++
		}
		return nil
	})
	if left > 0 {
		t.Errorf("%d files were left behind", left)
	}
}

func TestABucketThatCantBeOpenedSaysWhy(t *testing.T) {
	for _, at := range []string{"%", "ftp://x", "nothing", ""} {
		if _, err := assets.OpenBucket(t.Context(), at); err == nil {
			t.Errorf("%q was opened", at)
		}
	}
}

func TestAFileIsWhatItSaysItIs(t *testing.T) {
	p := picture(t, 300, 100)
	f, err := assets.Inspect("image/png", p)
	if err != nil || f.ContentType != "image/png" || len(f.DigestHex()) != 64 {
		t.Fatal(f, err)
	}
	if small, err := png.DecodeConfig(bytes.NewReader(f.Preview)); err != nil || small.Width != 96 || small.Height != 32 {
		t.Errorf("the preview is %+v, %v", small, err)
	}
	if f, err := assets.Inspect("audio/mpeg", append([]byte("ID3\x04"), make([]byte, 600)...)); err != nil || f.Preview != nil {
		t.Error(f, err)
	}
	large := picture(t, 1, 1)
	// The header's width and height, with the checksum of the header left wrong: refused either way.
	copy(large[16:], []byte{0, 1, 0, 0, 0, 1, 0, 0})
	for what, c := range map[string]struct {
		kind string
		body []byte
	}{
		"HTML":                   {"text/html", []byte("<script>")},
		"SVG":                    {"image/svg+xml", []byte("<svg/>")},
		"HTML said to be PNG":    {"image/png", []byte("<script>alert(1)</script>")},
		"a JPEG that is a PNG":   {"image/jpeg", p},
		"half a picture":         {"image/png", p[:len(p)/2]},
		"a picture without size": {"image/png", large},
		"nothing":                {"image/png", nil},
		"no type":                {"", p},
		"a sound that is text":   {"audio/mpeg", []byte(strings.Repeat("la", 100))},
	} {
		if _, err := assets.Inspect(c.kind, c.body); err == nil {
			t.Errorf("%s was taken", what)
		}
	}
}
