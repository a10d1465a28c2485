"""How people ask for what a tool can do, and how an assistant answers."""

from gnomon.data.synthesis.phrases import phrases

SYSTEM = phrases(
    "tools.system",
    "You can call tools. Call one when it helps, and answer directly when none is needed.",
    "Use the functions below where they help. If something needed is missing, ask for it.",
    "You are an assistant with tools. Do not guess what a tool can find out.",
    "These functions are at your disposal. Say so when none of them fits.",
    "Answer the user; call a function when the answer depends on it.",
)
PERCENT = phrases(
    "tools.percent",
    "What is {p} percent of {n}?",
    "I need {p}% of {n}, exactly.",
    "How much is {p} percent, taken of {n}?",
    "Work out {p} % of {n} for me, please.",
    "A fee of {p} percent is charged on an amount of {n}. How much is the fee?",
)
BILL = phrases(
    "tools.bill",
    "I am buying {a} {x} at {p} euros each and {b} {y} at {q} euros each. What do I pay in all?",
    "What is the total for {a} {x} ({p} euros apiece) and {b} {y} ({q} euros apiece)?",
    "Our order: {a} {x}, {p} euros each, plus {b} {y}, {q} euros each. Please add it up.",
    "Total, please: {a} times {p} euros for {x}, and {b} times {q} euros for {y}.",
    "For the club I need {a} {x} and {b} {y}. One of the {x} costs {p} euros, one of the {y} {q} euros. The sum?",
)
CONVERT = phrases(
    "tools.convert",
    "How many {to} are {value} {unit}?",
    "Convert {value} {unit} to {to}.",
    "What are {value} {unit} in {to}?",
    "My notes say {value} {unit}, but I need it in {to}. What is that?",
    "Please express {value} {unit} in {to}.",
    "{value} {unit}: what does that come to in {to}?",
)
DAYS = phrases(
    "tools.days",
    "How many days are there from {start} to {end}?",
    "The loan ran from {start} to {end}. How many days is that?",
    "Count the days between {start} and {end}, please.",
    "We set out on {start} and came home on {end}. How many days later was that?",
    "If I plant on {start} and harvest on {end}, how many days lie between the two dates?",
)
LATER = phrases(
    "tools.later",
    "What is the date {days} days after {start}?",
    "A permit issued on {start} is valid for {days} days. On what date, counting {days} days on, does it run out?",
    "Which date do we get to if we count {days} days on from {start}?",
    "The parts will come {days} days after {start}. What date is that?",
    "My warranty ends {days} days after {start}. Which date is that?",
)
WEEKDAY = phrases(
    "tools.weekday",
    "Which day of the week was {day}?",
    "On what weekday did {day} fall?",
    "I was told the bridge opened on {day}. What day of the week was it?",
    "Was {day} a Sunday? Tell me which weekday it was.",
    "Give me the weekday of {day}.",
)
LATER_WEEKDAY = phrases(
    "tools.later-weekday",
    "The rent was agreed on {start}, and notice takes {days} days. On what day of the week does the notice run out?",
    "What weekday is it {days} days after {start}?",
    "Count {days} days on from {start}: which day of the week do you land on?",
    "A letter of {start} gives us {days} days. The last day is which day of the week?",
)
TEXT = phrases(
    "tools.text",
    "{measure} in this text? “{text}”",
    "Please look at this: “{text}” {measure} in it?",
    "Here is a text: “{text}” {measure} in it, please?",
    "“{text}” Tell me about this text: {measure} there?",
)
LONGEST = phrases(
    "tools.longest",
    "What is the longest word in “{text}”?",
    "Which word of “{text}” has the most letters?",
    "Find the longest word: “{text}”",
    "“{text}” Which is the longest word of that?",
)
JSON_FIELD = phrases(
    "tools.json",
    "From this order, I need {what}: {document}",
    "Read {what} from this JSON: {document}",
    "{document}\n\nWhat does this document give as {what}?",
    "Please look into the following record and tell me {what}.\n{document}",
)
JSON_WEIGHT = phrases(
    "tools.json-weight",
    "How heavy is parcel number {n} of this order, in {to}? The weights are in kilograms. {document}",
    "{document}\n\nThese weights are in kilograms. What is the weight of parcel number {n} in {to}?",
    "Give me the weight of parcel number {n} in {to}, please; the document has kilograms.\n{document}",
    "I need the weight of parcel number {n} in {to}. The document, which gives kilograms: {document}",
)
LOOK_UP = phrases(
    "tools.look-up",
    "What does the {place} give as the {field} of {key}?",
    "Please look up the {field} for {key} in the {place}.",
    "I am asking about {key}: what is the {field}, by the {place}?",
    "Check the {place}: what is the {field} of {key}?",
    "I need the {field} of {key}. It should be in the {place}.",
)
BUY = phrases(
    "tools.buy",
    "What do {n} pieces of {key} cost, at the price in the stock list?",
    "We want {n} of {key}. What is the sum, by the stock list's price?",
    "Price of {n} units of {key}, please; the unit price is in the stock list.",
    "How much would {n} times {key} be, going by our stock list?",
)
TRAIL = phrases(
    "tools.trail",
    "How long is the {key} in {to}?",
    "The trail guide has kilometres. What is the length of the {key} in {to}?",
    "I think in {to}. How long is the {key}?",
    "Give me the length of the trail {key} in {to}.",
)
SERVICE = phrases(
    "tools.service",
    "How many days after starting here is {end} for {key}?",
    "By the staff directory, how many days had {key} been with us on {end}?",
    "From the start date of {key} to {end}: how many days?",
    "{key} wants to know how many days lie between the first day at work and {end}.",
)
DEARER = phrases(
    "tools.compare",
    "Which has the {more} {field} in the {place}, {one} or {other}?",
    "Compare {one} with {other} in the {place}: which of them has the {more} {field}?",
    "By the {place}, is the {field} {more} for {one} or for {other}?",
    "{one} or {other}: which of the two has the {more} {field}? The {place} should have it.",
)
MISSING_UNIT = phrases(
    "tools.missing.unit",
    "Please convert {value} {unit}.",
    "I have {value} {unit} and need it in another unit.",
    "Can you convert {value} {unit} for me?",
    "{value} {unit}, converted, please.",
)
WHICH_UNIT = phrases(
    "tools.which.unit",
    "Into which unit should I convert it?",
    "Gladly. Which unit do you need?",
    "What unit would you like it in?",
    "I can do that. To what unit?",
)
MISSING_DATE = phrases(
    "tools.missing.date",
    "How many days is it from {start} to the day of our move?",
    "Count the days from {start} to our wedding.",
    "We are travelling some time after {start}. How many days will it be from then to our departure?",
    "How many days are there between {start} and my exam?",
)
WHICH_DATE = phrases(
    "tools.which.date",
    "I do not know that date. When is it?",
    "Which date is that? I need it to count.",
    "Please tell me the second date.",
    "I can count the days as soon as I have the other date. What is it?",
)
MISSING_KEY = phrases(
    "tools.missing.key",
    "Look up the {field} in the {place}, please.",
    "What is the {field}, by the {place}?",
    "I need {a_noun}'s {field} from the {place}.",
    "Can you check the {field} in the {place} for me?",
)
WHICH_KEY = phrases(
    "tools.which.key",
    "Which {noun} do you mean?",
    "For which {noun}?",
    "Please name the {noun}.",
    "I need the name of the {noun} first.",
)
GIVE = phrases("tools.give", "{it}, please.", "Right, I forgot that: {it}.", "Sorry: {it}.", "{it}.", "I mean {it}.")
CANNOT = phrases(
    "tools.cannot",
    "I have no tool that can {deed}. What I can do here: {can}.",
    "None of my tools can {deed}. They let me {can}.",
    "That is beyond me: nothing I have can {deed}. I could {can}, though.",
    "I am not able to {deed}, as no function for it is available. I can {can}.",
)
DEEDS = (
    "book a table at a restaurant", "send an e-mail", "switch on the heating", "play a song", "order a taxi",
    "print a document", "set an alarm", "transfer money", "unlock the front door", "buy concert tickets",
    "forecast tomorrow's weather", "post a photograph", "reserve a hotel room", "water the plants",
    "translate a contract", "find a free parking space", "renew a library card", "call an electrician",
)  # fmt: skip
WISH = phrases(
    "tools.wish",
    "Could you {deed} for me?",
    "Please {deed}.",
    "I would like you to {deed}.",
    "Can you {deed}?",
    "Would you {deed} this evening?",
)
ABLE = {
    "calculate": "do arithmetic", "convert_units": "convert units", "days_between": "count days between dates",
    "add_days": "add days to a date", "weekday_of": "tell a date's weekday", "text_statistics": "measure texts",
    "json_extract": "read values from JSON", "table:product": "look things up in the stock list",
    "table:employee": "look people up in the staff directory", "table:trail": "look trails up in the trail guide",
    "table:museum": "look museums up in the museum register",
}  # fmt: skip
DIRECT = phrases(
    "tools.direct",
    "{one} lives in {a} and {other} lives in {b}. Who of the two lives in {asked}?",
    "In our team {one} is based in {a}, {other} in {b}. Whom do I meet if I go to {asked}?",
    "{one} has moved to {a}, while {other} has stayed in {b}. Remind me: who is in {asked}?",
    "The key for {a} is with {one}, the one for {b} with {other}. Who has the key for {asked}?",
)
SAY = phrases(
    "tools.say",
    "{cap}.",
    "The answer: {full}.",
    "{cap}, as the tool says.",
    "Done: {full}.",
    "Here it is: {full}.",
)
SAY_PERSON = phrases(
    "tools.say.person",
    "Then it is {answer}.",
    "That is {answer}.",
    "It is {answer}, as you say yourself.",
    "By what you say, {answer}.",
)
NO_ENTRY = phrases(
    "tools.no-entry",
    "The {place} has no entry for {key}, so I cannot give the {field}.",
    "I found no {noun} called {key} in the {place}; the {field} remains unknown.",
    "There is no {noun} named {key} in the {place}. Could the name be spelled differently?",
    "{key} is not in the {place}, so there is no {field} to report.",
)
