// Package assets keeps the files of projects: pictures and sounds.
//
// In: bytes under a key. Out: the same bytes. The decision that matters: a key is never written
// twice with different bytes, so no reader sees half of one file and half of another, whatever the
// store behind it promises.
package assets

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	_ "image/gif"  // to be recognised
	_ "image/jpeg" // to be recognised
	"image/png"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/fileblob" // file:///var/lib/platform/assets
	_ "gocloud.dev/blob/s3blob"   // s3://bucket?region=…
	"gocloud.dev/gcerrors"
	"golang.org/x/image/draw"
	_ "golang.org/x/image/webp" // to be recognised
)

// ErrNotFound is returned for a key that isn't there.
var ErrNotFound = errors.New("assets: no such file")

// Bucket is where the bytes are. Safe for concurrent use.
type Bucket struct{ bucket *blob.Bucket }

// OpenBucket opens a bucket by its URL: file:///folder (made if need be), or s3://name?region=…,
// with credentials from where AWS's tools look for them.
func OpenBucket(ctx context.Context, at string) (*Bucket, error) {
	u, err := url.Parse(at)
	if err != nil {
		return nil, fmt.Errorf("assets: %q is not a URL such as file:///var/lib/platform or s3://bucket?region=eu-west-1", at)
	}
	if u.Scheme == "file" {
		q := u.Query()
		q.Set("create_dir", "true")
		q.Set("no_tmp_dir", "true") // a file appears under its name by a rename, which needs one file system
		q.Set("metadata", "skip")
		u.RawQuery = q.Encode()
	}
	b, err := blob.OpenBucket(ctx, u.String())
	if err != nil {
		return nil, fmt.Errorf("open the assets at %s: %w", u.Redacted(), err)
	}
	return &Bucket{b}, nil
}

// Close ends it.
func (b *Bucket) Close() error { return b.bucket.Close() }

// Put writes the bytes under key, whole or not at all.
func (b *Bucket) Put(ctx context.Context, key, contentType string, body []byte) error {
	if err := b.bucket.WriteAll(ctx, key, body, &blob.WriterOptions{ContentType: contentType}); err != nil {
		return fmt.Errorf("write %s: %w", key, err)
	}
	return nil
}

// Open reads the bytes under key.
func (b *Bucket) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	r, err := b.bucket.NewReader(ctx, key, nil)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	return r, nil
}

// Delete removes the bytes under key; there may be none.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	err := b.bucket.Delete(ctx, key)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return nil
	}
	return err
}

// File is what Inspect found out about a file's bytes.
type File struct {
	ContentType string
	Digest      [sha256.Size]byte
	Preview     []byte // of a picture: a PNG of at most 96 pixels a side
}

// DigestHex is the SHA-256 in hexadecimal.
func (f File) DigestHex() string { return hex.EncodeToString(f.Digest[:]) }

// kinds are the types that are taken, with what http.DetectContentType calls them.
var kinds = map[string]string{
	"image/png": "image/png", "image/jpeg": "image/jpeg", "image/gif": "image/gif", "image/webp": "image/webp",
	"audio/mpeg": "audio/mpeg", "audio/wav": "audio/wave", "audio/ogg": "application/ogg",
}

// pixels bounds the size of a picture: a few bytes can claim to be a very large one.
const pixels = 40 << 20

// Inspect checks that the bytes are of the type that they are said to be, and makes the preview of a
// picture.
func Inspect(contentType string, body []byte) (File, error) {
	kind, _, err := mime.ParseMediaType(contentType)
	seems, known := kinds[kind]
	if err != nil || !known {
		return File{}, fmt.Errorf("files of the type %q aren't taken: PNG, JPEG, GIF, WebP, MP3, WAV and Ogg are", contentType)
	}
	if is := http.DetectContentType(body); is != seems && !(kind == "audio/mpeg" && isMPEG(body)) {
		return File{}, fmt.Errorf("the file is not %s", kind)
	}
	f := File{ContentType: kind, Digest: sha256.Sum256(body)}
	if strings.HasPrefix(kind, "image/") {
		f.Preview, err = preview(body)
	}
	return f, err
}

// isMPEG knows the frames of an MP3 without a tag, which DetectContentType doesn't.
func isMPEG(body []byte) bool { return len(body) > 2 && body[0] == 0xFF && body[1]&0xE0 == 0xE0 }

func preview(body []byte) ([]byte, error) {
	size, _, err := image.DecodeConfig(bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the picture can't be read")
	}
	if size.Width <= 0 || size.Height <= 0 || size.Width > pixels/size.Height {
		return nil, fmt.Errorf("the picture has %d × %d pixels; that is too many", size.Width, size.Height)
	}
	picture, _, err := image.Decode(bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the picture can't be read")
	}
	const side = 96
	width, height := size.Width, size.Height
	if larger := max(width, height); larger > side {
		width, height = max(1, width*side/larger), max(1, height*side/larger)
	}
	small := image.NewRGBA(image.Rect(0, 0, width, height))
	draw.ApproxBiLinear.Scale(small, small.Bounds(), picture, picture.Bounds(), draw.Src, nil)
	var out bytes.Buffer
	err = png.Encode(&out, small)
	return out.Bytes(), err
}
