package audit

import (
	"context"
	"fmt"

	"changeover/platform/students/ledger"
)

// hours compares Hours of Code: begun once, finished once, the certificate is the one that was given.
func (a *auditor) hours(ctx context.Context) error {
	begun := map[string]*operation{} // by user and script, to tell a double
	for _, op := range a.ofKinds(ledger.HocStart) {
		begun[fmt.Sprint(op.User, a.scripts[op.Script].id)] = op
	}
	finishes := map[int64][]*operation{}
	for _, op := range a.ofKinds(ledger.HocFinish) {
		finishes[op.Number] = append(finishes[op.Number], op)
	}
	seen := map[int64]bool{}
	take := func(scan func(...any) error) error {
		var id, user, script int64
		var start, finish, certificate op
		var name string
		if err := scan(&id, &start, &finish, &user, &script, &certificate, &name); err != nil || seen[id] {
			return err
		}
		seen[id] = true
		a.report.Rows["hoc_activity"]++
		known := a.match("hoc_activity", start.UUID, ledger.HocStart)
		if known == nil {
			if twin := begun[fmt.Sprint(user, script)]; twin != nil {
				a.find(Doubled, "hoc_activity", start.UUID, user, "hour %d is operation %s once more", id, twin.Op)
				return nil
			}
			a.find(Unexpected, "hoc_activity", start.UUID, user, "hour %d was begun by an operation that no client knows", id)
			return nil
		}
		if known.User != user || a.scripts[known.Script].id != script {
			a.find(Wrong, "hoc_activity", known.Op, known.User, "hour %d is of user %d and script %d", id, user, script)
		}
		if known.Acknowledged() && known.Outcome.ID != id {
			a.find(Wrong, "hoc_activity.id", known.Op, user, "the client was told hour %d, the row is %d", known.Outcome.ID, id)
		}
		a.finish(id, user, finish, certificate, name, finishes[id])
		return nil
	}
	const query = "SELECT id, op_id, finish_op, user_id, script_id, certificate, COALESCE(name, '') FROM hoc_activity WHERE "
	if err := a.own(ctx, take, query+"user_id IN", ""); err != nil {
		return err
	}
	return a.during(ctx, take, query+"started_at")
}

func (a *auditor) finish(id, user int64, finish, certificate op, name string, ops []*operation) {
	if finish == (op{}) {
		return // a finish that is acknowledged is found to be lost in the end
	}
	known := a.match("hoc_activity.finish_op", finish.UUID, ledger.HocFinish)
	if known == nil {
		a.find(Unexpected, "hoc_activity.finish_op", finish.UUID, user, "hour %d was finished by an operation that no client knows", id)
		return
	}
	if known.Number != id || known.Name != name || known.Acknowledged() && known.Outcome.Object != certificate.UUID {
		a.find(Wrong, "hoc_activity", known.Op, user, "hour %d was finished by %q with certificate %s; the client sent %q and was told %s",
			id, name, certificate, known.Name, known.Outcome.Object)
	}
	for _, other := range ops { // a later finish of the same hour is given the first one's certificate
		if other != known && other.Acknowledged() && other.Outcome.Object == certificate.UUID {
			other.found = true
		}
	}
}

// sections compares teachers' classes.
func (a *auditor) sections(ctx context.Context) error {
	name := "name" // not NULL as long as it is the only one
	titled, err := a.hasColumn(ctx, "sections", "title")
	if err != nil {
		return err
	}
	if titled {
		named, err := a.hasColumn(ctx, "sections", "name")
		if err != nil {
			return err
		}
		if name = "COALESCE(title, '')"; named {
			name = "COALESCE(title, name, '')"
		}
	}
	made := map[string]*operation{}
	for _, op := range a.ofKinds(ledger.Section) {
		made[fmt.Sprint(op.User, op.Name)] = op
	}
	seen := map[int64]bool{}
	take := func(scan func(...any) error) error {
		var id, teacher, script int64
		var by op
		var code, title string
		if err := scan(&id, &by, &teacher, &script, &code, &title); err != nil || seen[id] {
			return err
		}
		seen[id] = true
		a.report.Rows["sections"]++
		known := a.match("sections", by.UUID, ledger.Section)
		switch {
		case known == nil && made[fmt.Sprint(teacher, title)] != nil:
			a.find(Doubled, "sections", by.UUID, teacher, "section %d is operation %s once more", id, made[fmt.Sprint(teacher, title)].Op)
		case known == nil:
			a.find(Unexpected, "sections", by.UUID, teacher, "section %d is of an operation that no client knows", id)
		case known.User != teacher || known.Name != title || a.scripts[known.Script].id != script:
			a.find(Wrong, "sections", known.Op, teacher, "section %d is user %d's, of script %d, called %q", id, teacher, script, title)
		case known.Acknowledged() && (known.Outcome.ID != id || known.Outcome.Text != code):
			a.find(Wrong, "sections.code", known.Op, teacher, "section %d has the code %s; the client was told %d, %s", id, code, known.Outcome.ID, known.Outcome.Text)
		}
		return nil
	}
	query := "SELECT id, op_id, teacher_id, COALESCE(script_id, 0), code, " + name + " FROM sections WHERE "
	if err := a.own(ctx, take, query+"teacher_id IN", ""); err != nil {
		return err
	}
	return a.during(ctx, take, query+"created_at")
}

// joins compares who is in which section.
func (a *auditor) joins(ctx context.Context) error {
	type place struct{ section, user int64 }
	asked := map[place]*operation{}
	for _, op := range a.ofKinds(ledger.Join) {
		if op.mayBe() && (asked[place{op.Number, op.User}] == nil || op.Acknowledged()) {
			asked[place{op.Number, op.User}] = op
		}
	}
	seen := map[place]bool{}
	take := func(scan func(...any) error) error {
		var p place
		if err := scan(&p.section, &p.user); err != nil || seen[p] {
			return err
		}
		seen[p] = true
		a.report.Rows["section_students"]++
		if asked[p] == nil {
			a.find(Unexpected, "section_students", noOp, p.user, "user %d is in section %d, which no client asked for", p.user, p.section)
		}
		return nil
	}
	const query = "SELECT section_id, user_id FROM section_students WHERE "
	if err := a.own(ctx, take, query+"user_id IN", ""); err != nil {
		return err
	}
	if err := a.during(ctx, take, query+"joined_at"); err != nil {
		return err
	}
	for _, op := range a.ofKinds(ledger.Join) {
		if seen[place{op.Number, op.User}] {
			a.there(op, "section_students")
		}
	}
	return nil
}

// feedback compares what teachers said, and that it was seen.
func (a *auditor) feedback(ctx context.Context) error {
	said := map[string]*operation{}
	content := func(teacher, student int64, comment ledger.Digest) string {
		return fmt.Sprint(teacher, student, comment)
	}
	for _, op := range a.ofKinds(ledger.Feedback) {
		said[content(op.User, op.Number, op.Digest)] = op
	}
	sawn := map[int64]*operation{}
	for _, op := range a.ofKinds(ledger.FeedbackSeen) {
		sawn[op.Number] = op
	}
	seen := map[int64]bool{}
	take := func(scan func(...any) error) error {
		var id, teacher, student, script, level int64
		var by op
		var comment []byte
		var rating string
		var wasSeen bool
		if err := scan(&id, &by, &teacher, &student, &script, &level, &comment, &rating, &wasSeen); err != nil || seen[id] {
			return err
		}
		seen[id] = true
		a.report.Rows["teacher_feedbacks"]++
		if op := sawn[id]; op != nil && wasSeen {
			a.there(op, "teacher_feedbacks.seen_at")
		} else if op == nil && wasSeen {
			a.find(Unexpected, "teacher_feedbacks.seen_at", by.UUID, student, "feedback %d was seen, and no client said so", id)
		}
		known := a.match("teacher_feedbacks", by.UUID, ledger.Feedback)
		digest := ledger.DigestOf(comment)
		if known == nil {
			if twin := said[content(teacher, student, digest)]; twin != nil {
				a.find(Doubled, "teacher_feedbacks", by.UUID, teacher, "feedback %d is operation %s once more", id, twin.Op)
				return nil
			}
			a.find(Unexpected, "teacher_feedbacks", by.UUID, teacher, "feedback %d is of an operation that no client knows", id)
			return nil
		}
		where := a.scripts[known.Script]
		if known.User != teacher || known.Number != student || known.Digest != digest || known.Name != rating || where.id != script || where.levels[known.Level] != level {
			a.find(Wrong, "teacher_feedbacks", known.Op, teacher, "feedback %d is not what the teacher sent", id)
		}
		if known.Acknowledged() && known.Outcome.ID != id {
			a.find(Wrong, "teacher_feedbacks.id", known.Op, teacher, "the client was told feedback %d, the row is %d", known.Outcome.ID, id)
		}
		return nil
	}
	const query = "SELECT id, op_id, teacher_id, student_id, script_id, level_id, comment, rating, seen_at IS NOT NULL FROM teacher_feedbacks WHERE "
	if err := a.own(ctx, take, query+"teacher_id IN", ""); err != nil {
		return err
	}
	return a.during(ctx, take, query+"created_at")
}
