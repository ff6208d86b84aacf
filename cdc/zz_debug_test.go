package cdc
import "fmt"
func (m *migration) free(at string) {
	var f, tot, fr int
	_ = m.to.QueryRow("SELECT FREE_EXTENTS, TOTAL_EXTENTS, DATA_FREE>>20 FROM information_schema.FILES WHERE FILE_TYPE='TABLESPACE' AND TABLESPACE_NAME='innodb_system'").Scan(&f,&tot,&fr)
	fmt.Println("FREE", at, f, tot, fr)
}
