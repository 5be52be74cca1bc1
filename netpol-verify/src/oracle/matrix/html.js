"use strict";
const from = document.getElementById("from"), to = document.getElementById("to");
function filter() {
  const rows = from.value.toLowerCase(), columns = to.value.toLowerCase();
  for (const table of document.querySelectorAll("table")) {
    const heads = [...table.tHead.rows[0].cells];
    const shown = heads.map((head, at) => at === 0 || head.textContent.toLowerCase().includes(columns));
    for (const row of table.rows) {
      if (row.parentNode === table.tBodies[0]) row.hidden = !row.cells[0].textContent.toLowerCase().includes(rows);
      for (let at = 1; at < row.cells.length; at++) row.cells[at].hidden = !shown[at];
    }
  }
}
for (const field of [from, to]) field.addEventListener("input", filter);
document.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
filter();
