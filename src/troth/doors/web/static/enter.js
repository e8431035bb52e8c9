// Presses the one button of this page.
"use strict";
document.getElementById("enter").submit();
