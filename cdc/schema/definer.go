package schema

import (
	"fmt"
	"slices"
	"strings"

	"changeover/internal/fault"
)

// DefinerPolicy says what becomes of an object whose definer the target doesn't have, or may not
// be given.
type DefinerPolicy uint8

// The definer policies. They are applied before the first object is made: an object never fails
// over its definer in the middle.
const (
	// DefinersAuto keeps a definer where the target lets Changeover name it, and else puts
	// Changeover's own account in its place.
	DefinersAuto DefinerPolicy = iota
	// DefinersKeep keeps every definer; one that can't be named is a fault.
	DefinersKeep
	// DefinersReplace puts Changeover's account in the place of every definer that doesn't exist
	// or can't be named.
	DefinersReplace
	// DefinersStop makes a definer that doesn't exist, or can't be named, a fault.
	DefinersStop
)

// Definer is what becomes of one definer.
type Definer struct {
	Account string   // user@host, as the source has it
	Use     string   // user@host on the target: Account, or the account that replaces it
	Exists  bool     // on the target; false too if the account may not look
	Objects []string // what it defines: kind database.name
	Note    string   // why it is replaced, or what to do about it; empty if all is well
}

// Definers decides what becomes of every definer of s, in alphabetical order, before anything is
// made. What the policy doesn't allow is one fault.SchemaDefiner that names all of them; the list
// is complete then too.
func (s *Schema) Definers(t *Target, policy DefinerPolicy) ([]Definer, error) {
	by := map[string]*Definer{}
	for _, o := range s.objects() {
		d := by[o.Definer]
		if d == nil {
			d = &Definer{Account: o.Definer}
			by[o.Definer] = d
		}
		d.Objects = append(d.Objects, strings.ToLower(string(o.Kind))+" "+o.Schema+"."+o.Name)
	}
	var all []Definer
	var refused []string
	for _, d := range by {
		if !t.decide(d, policy) {
			refused = append(refused, fmt.Sprintf("%s (%s)", d.Account, d.Note))
		}
		all = append(all, *d)
	}
	slices.SortFunc(all, func(a, b Definer) int { return strings.Compare(a.Account, b.Account) })
	if len(refused) > 0 {
		slices.Sort(refused)
		return all, fault.New(fault.SchemaDefiner, "definers that the target can't have: %s", strings.Join(refused, ", "))
	}
	return all, nil
}

func (s *Schema) objects() []Object {
	var all []Object
	for _, d := range s.Databases {
		all = slices.Concat(all, d.Views, d.Routines, d.Triggers, d.Events)
	}
	return all
}

// decide fills in what becomes of a definer; ok is false if the policy doesn't allow it.
func (t *Target) decide(d *Definer, policy DefinerPolicy) (ok bool) {
	d.Exists, d.Use = t.Accounts[d.Account], d.Account
	var why string
	switch {
	case d.Account == t.Account:
		return true
	case !t.SetDefiner:
		why = "Changeover's account may not name another as definer"
	case t.Untouchable[d.Account]:
		why = "the account has SYSTEM_USER on the target, and Changeover's, which doesn't, may not name it"
	case d.Exists:
		return true
	case !t.MissingDefiner:
		why = "there is no such account on the target, and Changeover's may not name one that doesn't exist"
	case policy != DefinersReplace && policy != DefinersStop:
		d.Note = "there is no such account on the target: create it before the cutover, else what it defines fails"
		return true
	default:
		why = "there is no such account on the target"
	}
	d.Note = why
	if policy == DefinersKeep || policy == DefinersStop {
		return false
	}
	d.Use = t.Account
	d.Note = fmt.Sprintf("definer %s is replaced by %s, whose rights it has from now on: %s", d.Account, d.Use, why)
	return true
}

// quoteAccount writes user@host as a statement has it.
func quoteAccount(account string) string {
	at := strings.LastIndexByte(account, '@')
	if at < 0 {
		return quoteName(account)
	}
	return quoteName(account[:at]) + "@" + quoteName(account[at+1:])
}

func quoteName(s string) string { return "`" + strings.ReplaceAll(s, "`", "``") + "`" }
