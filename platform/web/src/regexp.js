// The worker in which a student's regular expressions run: one operation, one answer, then it ends.
// It is a file of its own because the page's content security policy allows no worker from a blob.
onmessage = ({ data }) => {
  const [operation, ...args] = data;
  let result;
  switch (operation) {
    case 'split':
      result = args[0].split(args[1], args[2]);
      break;
    case 'match':
      result = args[0].match(args[1]);
      break;
    case 'search':
      result = args[0].search(args[1]);
      break;
    case 'replace':
      result = args[0].replace(args[1], args[2]);
      break;
    case 'exec': {
      const [regexp, lastIndex, text] = args;
      regexp.lastIndex = lastIndex;
      result = [regexp.exec(text), regexp.lastIndex];
      break;
    }
  }
  postMessage(result);
  close();
};
