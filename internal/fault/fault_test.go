package fault_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"

	"changeover/internal/fault"
)

func TestTheCatalogueIsSortedUniqueAndSaysSomething(t *testing.T) {
	last := fault.Code(0)
	for _, e := range fault.Catalogue {
		if e.Code <= last {
			t.Errorf("%s stands after %s", e.Code, last)
		}
		last = e.Code
		if e.Title == "" || e.Cause == "" {
			t.Errorf("%s has no title or no cause", e.Code)
		}
		if strings.HasSuffix(e.Title, ".") || !strings.HasSuffix(e.Cause, ".") || e.Remedy != "" && !strings.HasSuffix(e.Remedy, ".") {
			t.Errorf("%s: a title has no full stop, cause and remedy do", e.Code)
		}
	}
}

func TestEveryCodeIsInTheCatalogue(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "catalogue.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	codes := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		lit, ok := spec.Values[0].(*ast.BasicLit)
		if !ok {
			return true
		}
		codes++
		var code int
		if _, err := fmt.Sscan(lit.Value, &code); err != nil {
			t.Fatal(err)
		}
		if _, ok := fault.Lookup(fault.Code(code)); !ok {
			t.Errorf("%s (%d) is not in the catalogue", spec.Names[0], code)
		}
		return true
	})
	if codes != len(fault.Catalogue) {
		t.Errorf("%d codes, %d entries", codes, len(fault.Catalogue))
	}
}

func TestTheErrorsPageIsFresh(t *testing.T) {
	page, err := os.ReadFile("../../docs/errors.md")
	if err != nil || string(page) != fault.Markdown() {
		t.Errorf("docs/errors.md is stale: go generate ./internal/fault (%v)", err)
	}
}

func TestAFaultIsFoundWhereverItIsWrapped(t *testing.T) {
	cause := errors.New("cause")
	err := fmt.Errorf("outer: %w", errors.Join(errors.New("other"), fault.New(fault.Connect, "to x: %w", cause)))
	if !fault.Is(err, fault.Connect) || fault.Is(err, fault.Access) || !errors.Is(err, cause) {
		t.Error(err)
	}
	if code, ok := fault.CodeOf(err); !ok || code != fault.Connect {
		t.Error(code, ok)
	}
	if text := fault.New(fault.Access, "to x").Error(); !strings.HasPrefix(text, "CO-1011 to x. Check user") {
		t.Error(text)
	}
}

func TestACodeIsTextInJSON(t *testing.T) {
	text, err := json.Marshal(struct{ Code fault.Code }{fault.Connect})
	if err != nil || string(text) != `{"Code":"CO-1010"}` {
		t.Error(string(text), err)
	}
	var back struct{ Code fault.Code }
	if err := json.Unmarshal(text, &back); err != nil || back.Code != fault.Connect {
		t.Error(back, err)
	}
	if err := json.Unmarshal([]byte(`{"Code":"1010"}`), &back); err == nil {
		t.Error("a code without its letters was read")
	}
}

// Back there is a writer: the words of the first copy would have it emptied.
func TestAFaultOfTheWayBackIsToldSoHoweverItIsWrapped(t *testing.T) {
	purged, _ := fault.Lookup(fault.StreamPurged)
	err := fault.Returning(fmt.Errorf("the stream: %w", errors.Join(errors.New("other"), fault.New(fault.StreamPurged, "gone"))))
	if text := err.Error(); strings.Contains(text, purged.Remedy) || !strings.Contains(text, "CO-1404 gone. "+purged.Return()) || !fault.Is(err, fault.StreamPurged) {
		t.Error(text)
	}
	for _, e := range fault.Catalogue {
		emptied := strings.Contains(e.Return(), "from an empty target") || strings.Contains(e.Return(), "empty the migration's databases")
		if emptied && e.Code/100 != 15 { // nothing is copied on the way back
			t.Errorf("%s: on the way back it says: %s", e.Code, e.Return())
		}
	}
	if fault.Returning(nil) != nil {
		t.Error("nothing became an error")
	}
}
