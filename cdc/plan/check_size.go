package plan

import (
	"fmt"
	"time"

	"changeover/internal/fault"
)

func sizeChecks() []Check {
	return []Check{
		{"there is something to move", NeedsSource, nothingToMove},
		{"disk space", NeedsBoth, diskSpace},
	}
}

// assumedRate is bytes a second of data and indexes that a copy moves with four workers: what was
// measured on two cores with both servers on them (docs/bench). Larger machines do better.
const assumedRate = 20 << 20

// rate is the assumed one, or the configuration's bound.
func (f *Facts) rate() int64 {
	if r := int64(f.Config.Copy.Rate); r > 0 && r < assumedRate {
		return r
	}
	return assumedRate
}

// estimate is how long the copy may take.
func (f *Facts) estimate() time.Duration {
	if f.Schema == nil {
		return 0
	}
	_, bytes := f.Schema.Size()
	return time.Duration(float64(bytes) / float64(f.rate()) * float64(time.Second)).Round(time.Second)
}

func nothingToMove(f *Facts) []Finding {
	if f.Schema == nil || len(f.Schema.Tables) > 0 || len(f.Schema.Databases) == 0 {
		return nil
	}
	return one(fault.NothingToMove, Decide, Source, "no table of %s is in scope", list(f.Config.Databases))
}

func diskSpace(f *Facts) []Finding {
	if f.Schema == nil || f.Target.Identity.Aurora != "" {
		return nil // Aurora's volume grows by itself
	}
	_, bytes := f.Schema.Size()
	if bytes < 1<<30 {
		return nil
	}
	return one(fault.DiskSpace, Note, Target, "about %s are copied; the target's free space can't be asked by SQL", byteCount(bytes))
}

func byteCount(n int64) string {
	for _, u := range []struct {
		size int64
		name string
	}{{1 << 40, "TiB"}, {1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= u.size {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(u.size), u.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}

// duration is for a person: 45s, 12m, 3h 20m, 30d.
func duration(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour && d%time.Hour >= time.Minute:
		return fmt.Sprintf("%dh %dm", int(d.Hours()), int(d.Minutes())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}
