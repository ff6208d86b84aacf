package ddl

// block is a block of a stored program that is open.
type block uint8

const (
	compound  block = iota // BEGIN … END
	branch                 // IF … END IF
	choice                 // CASE … END CASE, the statement
	value                  // CASE … END, within an expression
	condition              // WHILE or FOR, up to DO
	loop                   // LOOP, REPEAT, and WHILE and FOR from DO on
	until                  // behind UNTIL
	section                // MariaDB: what is declared behind AS, or in a package
)

// program follows the blocks of a stored program, so that the semicolons in it are known from the one that
// ends it. No word of a block but CASE is reserved for good (a column may be called end), so they count
// only where a statement begins, and END of an expression only behind an operand.
type program struct {
	blocks   []block
	begins   bool // a statement begins with the next token
	labels   bool // the last token began one, and may be its label
	declares bool // within DECLARE …
	handles  bool // within DECLARE … HANDLER FOR …: the statement of the handler may begin anywhere
	routine  bool // within the head of a routine of a package
	angles   bool // within <<label>>, Oracle's
	last     Token
	// n counts the tokens of the statement, and created is the one of CREATE that began the statement at hand of a
	// block, 0 if it was another. another is where a program begins that can't stand in this one; 0: none does.
	n, created, another int
}

// bodyOf is the program that a statement begins, with the tokens of its body taken in; nil if it begins none.
func bodyOf(f *File, tokens []Token, d Dialect) *program {
	p := &program{begins: true}
	first, before := tokens[0], 0
	switch {
	case first.Is("CREATE", "ALTER"):
		if tokens[min(1, len(tokens)-1)].Is("TABLE") { // most are
			return nil
		}
		s := Statement{File: f, Tokens: tokens, NameAt: -1}
		c := cursor{s: &s, t: tokens, d: d}
		c.statement()
		switch s.Kind {
		case CreateTrigger, CreateRoutine, CreateEvent, CreatePackage:
		default:
			return nil
		}
		if s.Body == 0 {
			return nil
		}
		if s.Kind == CreatePackage || s.Body < len(tokens) && tokens[s.Body-1].Is("AS", "IS") && tokens[s.Body].Kind != String {
			p.blocks = append(p.blocks, section)
		}
		before = s.Body
		tokens = tokens[s.Body:]
	case first.Is("BEGIN"):
		if len(tokens) < 2 || !tokens[1].Is("NOT") { // BEGIN [WORK] begins a transaction
			return nil
		}
	case d != MariaDB:
		return nil
	case first.Is("DECLARE"):
		p.blocks = append(p.blocks, section)
	case first.Is("IF", "CASE", "LOOP", "REPEAT", "WHILE", "FOR"), len(tokens) > 1 && tokens[1].Is(":"):
	default:
		return nil
	}
	p.n = before
	for _, t := range tokens {
		p.take(t)
	}
	return p
}

// open tells whether a block is open.
func (p *program) open() bool { return len(p.blocks) > 0 }

func (p *program) in(bs ...block) bool {
	for _, b := range bs {
		if n := len(p.blocks); n > 0 && p.blocks[n-1] == b {
			return true
		}
	}
	return false
}

// push opens a block.
func (p *program) push(b block, begins bool) {
	p.blocks = append(p.blocks, b)
	p.handles, p.routine, p.begins = false, false, begins
}

// become changes the innermost block.
func (p *program) become(b block, begins bool) {
	p.blocks[len(p.blocks)-1] = b
	p.begins = begins
}

// take goes on by one token.
func (p *program) take(t Token) {
	begins, labels, last := p.begins, p.labels, p.last
	p.begins, p.labels, p.last = false, begins && (t.Kind == Word || t.Kind == Quoted), t
	p.creates(t, begins, last)
	p.n++
	switch {
	case p.angles:
		p.angles = !(t.Is(">") && last.Is(">"))
		p.begins = !p.angles
	case begins && t.Is("<"):
		p.angles = true
	case t.Is(";"):
		p.begins, p.declares, p.handles, p.routine = true, false, false, false
	case t.Is(":"):
		p.begins = labels
	case t.Kind == Word && !last.Is("."):
		p.word(t, begins, last)
	}
}

// creates looks for a program that is made within this one. Between CREATE and what is made there is but
// OR REPLACE, a DEFINER and AGGREGATE.
func (p *program) creates(t Token, begins bool, last Token) {
	switch {
	case begins && t.Is("CREATE"):
		p.created = p.n
	case begins || p.n-p.created > 12 || t.Is("TABLE", "TEMPORARY", "INDEX", "VIEW", ";"):
		p.created = 0
	case p.created > 0 && t.Is("PROCEDURE", "FUNCTION", "TRIGGER", "EVENT") && !last.Is("."):
		p.another = p.created
	}
}

func (p *program) word(t Token, begins bool, last Token) {
	may := begins || p.handles
	switch upper(t) {
	case "END":
		if p.open() && (begins || p.in(value, until) && operand(last)) {
			p.blocks = p.blocks[:len(p.blocks)-1]
		}
	case "BEGIN":
		switch {
		case begins && p.in(section):
			p.become(compound, true)
		case may || p.routine:
			p.push(compound, true)
		}
	case "ATOMIC":
		p.begins = last.Is("NOT")
	case "IF":
		if may {
			p.push(branch, false)
		}
	case "CASE":
		switch {
		case last.Is("END"): // CASE, already closed
		case may:
			p.push(choice, false)
		default:
			p.push(value, false)
		}
	case "LOOP", "REPEAT":
		switch {
		case may:
			p.push(loop, true)
		case p.in(condition):
			p.become(loop, true)
		}
	case "WHILE":
		if may {
			p.push(condition, false)
		}
	case "FOR":
		if begins {
			p.push(condition, false)
		}
	case "DO":
		if p.in(condition) {
			p.become(loop, true)
		}
	case "THEN":
		p.begins = p.in(branch, choice, compound)
	case "ELSE":
		p.begins = p.in(branch, choice)
	case "UNTIL":
		if begins && p.in(loop) {
			p.become(until, false)
		}
	case "DECLARE":
		p.declares = begins
	case "HANDLER":
		p.handles = p.declares
	case "PROCEDURE", "FUNCTION":
		p.routine = p.routine || begins && p.in(section)
	case "AS", "IS":
		if p.routine {
			p.push(section, true)
		}
	case "SET", "SELECT", "INSERT", "REPLACE", "UPDATE", "DELETE", "CALL", "SIGNAL", "RESIGNAL", "RETURN", "LEAVE", "ITERATE":
		p.handles = false
	}
}

// operand tells whether an expression may end with a token. Where it may not, an END is a name.
func operand(t Token) bool {
	switch t.Kind {
	case Symbol:
		return t.Text == ")" || t.Text == "*"
	case Word:
		return !t.Is("CASE", "WHEN", "THEN", "ELSE", "UNTIL", "AND", "OR", "NOT", "XOR", "IN", "LIKE", "BETWEEN", "IS", "DIV", "MOD", "DISTINCT", "BY")
	}
	return true
}
