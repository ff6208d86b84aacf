var d=o=>document.getElementById(o);function n(o,t){o&&(o.hidden=!t)}export{d as a,n as b};
