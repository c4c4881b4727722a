"""Sentence frames of the everyday corpus (everyday.py).

`{name}` is a value of the document or, if it has none of that name, a random word of everyday_words.WORDS;
`{a:name}` is the same with its indefinite article.
"""

# Plain stories: an opening, an arc of three sentences, a closing. Bound for a whole story: hero, friend,
# person, animal, food, item ("kite"), thing ("red kite"), place ("hill"), spot ("windy hill"), beast
# ("shy fox").
OPENINGS = (
    "Once upon a time {hero} lived beside {a:spot} with {a:beast}.",
    "In a village near {a:spot} there lived {a:temper} {person} and {hero}.",
    "One {weather} {moment} {hero} walked to the {place} with {friend}.",
    "{hero} was {temper} and loved to {doing} near the {place}.",
    "Every {moment} {hero} went past {a:spot} on the way home.",
    "It was {a:weather} {moment}, and {hero} was {feeling}.",
    "There was once {a:spot} where nobody lived but {hero} and {a:beast}.",
    "{hero} and {friend} were good friends, and both liked {food} and {food_word}.",
    "Long ago, when the {place} was new, {hero} kept {a:thing} in a drawer.",
    "On {a:weather} {moment} {hero} woke early and looked out at the {sky}.",
    "{hero} had {a:thing}, and {friend} had none.",
    "My {person} tells a story about {hero} and the {spot}.",
    "At the end of the road stood {a:spot}, and {hero} worked there.",
    "When {hero} was small, {a:beast} came to live at the {place}.",
    "{hero} was born in {a:weather} {season} and had never left the {spot}.",
    "The {person} of the {place} had {a:colour} door and {a:beast}.",
    "All week {hero} had wanted to {doing}, and at last the {sky} went away.",
    "{friend} gave {hero} {a:thing} on the first day of {season}.",
)
DETAILS = (
    "The {sky} moved {manner} over the {place}.",
    "It smelled of {food_word} and {material}.",
    "{a:look} {thing_word} lay on the table beside {a:colour} {thing_word}.",
    '"Are you {feeling}?" asked {friend}, but {hero} only smiled.',
    '"I am {feeling}," said {hero} {manner}.',
    "{a:temper} {animal_word} sat on the wall and watched the two of them.",
    "The air was {weather}, and the {sky} hid the hills.",
    "They ate {food} with {food_word} and drank warm milk.",
    "The {animal_word} ran under the {look} {thing_word} and stayed there.",
    "Somewhere {a:animal_word} called, and then it was quiet again.",
    "{friend} took {hero} by the hand and held it tight.",
    '"Look at the {sky}!" cried {friend}.',
    "The {temper} {person_word} waved from the {air} {place_word}.",
    "Their breath was white in the cold air.",
    "The door was {colour}, and the roof was of {material}.",
    "{hero} laughed, because the {animal_word} wore {a:look} {thing_word}.",
    "A long shadow fell on the {material} floor.",
    "Nobody spoke, for everyone was {feeling}.",
    "The {look} {thing_word} made a small sound, like a whisper.",
    "On the shelf stood {a:thing_word}, {a:thing_word} and {a:look} {thing_word}.",
)
ARCS = {
    "lost": (
        (
            "Then the {thing} was gone.",
            "One {moment} {hero} could not find the {thing}.",
            "But somewhere near the {place_word} {hero} lost the {thing}.",
            "The {thing} fell from a pocket and rolled away.",
        ),
        (
            "{hero} looked under the bed, behind the door and in the {place_word}, but found nothing.",
            '"Have you seen my {item}?" {hero} asked the {person}, and the {person} shook {a:temper} head.',
            "{friend} helped to look, and they searched the {place} until their feet were cold.",
            "They asked the {animal_word}, the {animal_word} and the {temper} {person}, and nobody knew.",
        ),
        (
            "At last {friend} saw the {item} in the nest of {a:animal}.",
            "The {beast} had carried the {item} to the {place}.",
            "In the end it lay in the grass, {look} and {look} but not broken.",
            "Then {a:beast} came out of the {place_word} with the {item} in its mouth.",
        ),
    ),
    "storm": (
        (
            "A storm came up, and the sky turned {colour} and dark.",
            "In the night the wind began to scream around the {place}.",
            "Rain fell for three days, and the water rose to the door.",
            "Thunder shook the {place}, and the lamp went out.",
        ),
        (
            "{hero} was afraid and hid under {a:look} blanket with the {beast}.",
            "{friend} lit {a:look} candle and shut the {material} door.",
            "The {person} ran {manner} from house to house to wake the others.",
            "A tree fell across the road, so {hero} and {friend} could not go home.",
        ),
        (
            "They told stories about {a:temper} {animal_word} until the wind grew tired.",
            "By morning the {sky} had gone, and the {place} was full of {look} leaves.",
            "Together they carried the {food} and the {thing} up to the attic, where it was dry.",
            "The {person} came with a boat and {a:look} rope, and everyone was safe.",
        ),
    ),
    "night": (
        (
            "That night {hero} heard a knock, and then another.",
            "In the dark something scratched at the door.",
            "A strange {colour} light moved behind the {place}.",
            "Late at night a voice began to whisper in the {place_word}.",
        ),
        (
            "{hero} held a breath and listened, cold with fear.",
            "The stairs were dark, and the house was as quiet as a grave.",
            "A shadow with {look} ears crept along the wall, and {friend} gave a small scream.",
            "{hero} took the {thing} and opened the door, one finger at a time.",
        ),
        (
            "But it was only {a:beast} that wanted some {food}.",
            "It was the {person}, who had lost the key and was cold.",
            "The ghost was nothing but a sheet that hung on {a:look} {thing_word}.",
            "Two bright eyes looked back, and then {a:beast} ran away, more afraid than they were.",
        ),
    ),
    "farewell": (
        (
            "In {season} the old {animal} died, and {hero} cried all day.",
            "One {moment} the {person} grew ill and could not get up.",
            "Then the {beast} did not wake, and its small body was cold.",
            "A letter came, and it said that the {person} was dead.",
        ),
        (
            "They dug a grave beside the {place} and laid {a:colour} stone on it.",
            "{hero} sat by the bed, held a thin hand and was {feeling}.",
            "{friend} brought {food} and did not say a word, which was kind.",
            "The {person_word} rang the church bell, and the crows flew up like ashes.",
        ),
        (
            "In spring {colour} flowers grew there, and {hero} told them the news.",
            '"It still hurts," said {hero}, and {friend} said, "I know."',
            "{hero} kept the {thing} to remember, and put it where the sun could reach it.",
            "Slowly the tears dried, and the days grew {weather} again.",
        ),
    ),
    "wound": (
        (
            "Near the {place} they found {a:beast} with blood on its leg.",
            "{hero} fell over {a:look} root and hurt a knee.",
            "The {animal} had a bone stuck in its throat and could not breathe.",
            "{friend} cut a finger on the {thing}, and blood ran down.",
        ),
        (
            "{hero} ran to the {person}, who knew what to do.",
            "They washed it with water from the {place_word} and tied a cloth around it.",
            '"Hold still," said {friend} {manner}, "it will soon be over."',
            "It was {feeling} and shook, but it did not bite.",
        ),
        (
            "After a week it could walk, and soon it could run.",
            "The {person} gave them {food} because they had been so brave.",
            "From then on the {animal} followed {hero} everywhere.",
            "Only {a:look} mark was left, and {hero} was proud of it.",
        ),
    ),
    "gift": (
        (
            "{hero} wanted to make {a:thing} for {friend}.",
            "It was the birthday of the {person}, and {hero} had no money.",
            "The {person} had no {item} and looked {feeling}.",
            "At the market {hero} saw {a:thing} and counted the coins.",
        ),
        (
            "For seven days {hero} worked {manner} with wood, {material} and {colour} thread.",
            "So {hero} traded {a:look} {thing_word} for some {food} and {a:colour} ribbon.",
            "{friend} found some {material}, and the {person_word} lent them a hammer.",
            '"What are you making?" asked the {animal_word}, but {hero} kept the secret.',
        ),
        (
            "When the box was opened, the {person} was so {feeling} that nobody spoke.",
            "The {item} was {look} and a little crooked, and it was loved all the more.",
            "{friend} put it in the window, where all the {place} could see it.",
            "Then they shared the {food} and sang until dark.",
        ),
    ),
    "journey": (
        (
            "One day {hero} packed {a:look} bag with {food} and left.",
            "{hero} wished to see the {spot} on the other side of the hills.",
            "A map in {a:look} {thing_word} showed the way to {a:spot}.",
            "The {person} asked {hero} to take {a:thing} to the {place}.",
        ),
        (
            "The road went over {a:air} {place_word}, past {a:place_word} and through {a:air} {place_word}.",
            "On the second day {hero} met {friend}, who was lost, and they went on together.",
            "They slept in {a:air} {place_word} and listened to the {animal_word}.",
            "{a:temper} {animal_word} showed them where to cross the river.",
        ),
        (
            "At the end there was no gold, only {a:spot} and {a:beast}.",
            "There the {person} gave them {food} and a warm bed.",
            "From the top they saw the sea, {colour} and {colour} and wide.",
            "{hero} left the {thing} there and took home a story.",
        ),
    ),
    "quarrel": (
        (
            "But both of them wanted the {thing}, and they began to quarrel.",
            "{friend} said that {hero} could not {doing} at all.",
            "One {moment} {friend} broke the {thing} and told nobody.",
            "The {animal} ate all the {food}, and {hero} blamed {friend}.",
        ),
        (
            "{hero} went home {manner} and shut the door with a bang.",
            "For three days they did not speak, and the {place} was very quiet.",
            "{friend} sat alone in the {place_word} and felt {feeling}.",
            "The {person} listened to both of them and scratched {a:look} nose.",
        ),
        (
            '"I am sorry," said {friend}, and held out {a:thing}.',
            "Then {hero} saw that it was a foolish thing to fight about.",
            "So they cut the {food} into two halves, and the {animal} got the rest.",
            "{hero} told the truth at last, and {friend} was not angry any more.",
        ),
    ),
}
CLOSINGS = (
    "After that {hero} was not {feeling} for a long time.",
    "And {hero} slept well that night.",
    "{hero} and {friend} still talk about the {moment} when the {sky} came.",
    "From that day the {place} had a new name.",
    "That is why the {animal} lives at the {place} now.",
    "Then {hero} went home, {feeling} and {feeling}.",
    "The {sky} came back, and the day was over.",
    '"Tomorrow we will {doing}," said {friend}, and so they did.',
    "Since then {hero} keeps some {food} on the table for {a:temper} guest.",
    "{hero} put out the light and listened to the quiet.",
    "And if the {item} is not broken, it is there today.",
    "They were {feeling}, and the moon shone on the {spot}.",
)

# Specification stories. A frame's name says which slots it uses.
TITLE_SCENE = (
    "This is {title}, a tale of {protagonist} and {companion}, who worked in {setting} one {season}.",
    "In {setting} lived {protagonist} and {companion}, and their neighbours called what happened {title}.",
    "People remember {title} because of {protagonist}, who spent a week with {companion} in {setting}.",
    "The tale called {title} begins in {setting}, where {protagonist} was waiting for {companion}.",
    "{protagonist} met {companion} in {setting}, and from that {moment} comes the story of {title}.",
    "Of all the tales about {protagonist} and {companion}, {title} is the one that took place in {setting}.",
    "The {person_word} likes to tell {title}, in which {protagonist} and {companion} got lost in {setting}.",
    "When {companion} followed {protagonist} to a job in {setting}, nobody thought it would become {title}.",
    "Somewhere in {setting}, on {a:weather} {moment}, {title} began for {protagonist} and {companion}.",
    "{companion} wrote {title} on the first page, for {protagonist} wished to describe {setting}.",
    "Long before anyone spoke of {title}, {protagonist} and {companion} had a small room in {setting}.",
    "A play named {title} shows how {protagonist} and {companion} passed {a:weather} {season} in {setting}.",
    "If you hear of {title}, think of {protagonist}, who lived in {setting} with {companion} and a cat.",
    "{protagonist} had never been in {setting} until {companion} asked for help, as {title} relates.",
)
SCENE = (
    "One {weather} {moment} {protagonist} and {companion} stopped in {setting} to eat some {food_word}.",
    "{protagonist} grew up in {setting} and knew {companion} from school.",
    "It rained for a week in {setting}, so {protagonist} taught {companion} how to {doing}.",
    "In {setting}, not far from the road, {protagonist} shared a table with {companion}.",
    "{companion} came to {protagonist} with a question, and they talked about it in {setting}.",
    "Work had brought {protagonist} to be in {setting}, and {companion} came along to {doing}.",
    "Every {season} {companion} and {protagonist} spent some days in {setting} with the {person_word}.",
    "The only people in {setting} that {moment} were {companion} and {protagonist}.",
    "{protagonist} opened a little shop in {setting} and asked {companion} to look after the {food_word}.",
    "There was a feast in {setting}, where {protagonist} sat next to {companion} by chance.",
    "Because the {sky} had come early, {protagonist} stayed in {setting} and sent for {companion}.",
    "Two travellers rested in {setting}: {protagonist}, who was {feeling}, and {companion}, who was not.",
)
TITLE_ONLY = (
    "What came of it is known as {title}, and it is told here in a few words.",
    "Later somebody painted the scene and called the picture {title}.",
    "The song {title} tells the rest, more or less as it was.",
    "A neighbour gave the whole affair a name, {title}, and the name stayed.",
    "In the library there is a thin {colour} book, {title}, with every detail.",
    "Children ask for {title} when they want to hear about it.",
    "Among the {person_word}'s stories this one has the name {title}.",
    "The newspaper printed a column about it under the words {title}.",
    "On the cover of the diary stood {title}, written {manner} in {colour} ink.",
    "Whoever tells it begins with the words {title} and a cup of tea.",
    "So the tale got its name, {title}, though nobody knows who chose it.",
    "You may have heard it as {title}, or perhaps you have not heard it at all.",
)
RULE = (
    "The {person_word} gave them one piece of advice: {rule}.",
    "A sign beside the {look} {thing_word} said it in {colour} letters: {rule}.",
    "Everybody there agreed on one thing, {rule}, and nobody asked why.",
    "{companion} had learned it as a child: {rule}.",
    "Their {look} notebook held a single line, {rule}, with two lines drawn under it.",
    "There was only one law in the place, and it was short: {rule}.",
    '"Remember," said the {person_word} {manner}, "{rule}."',
    "Before they unpacked, {protagonist} read the notice aloud: {rule}.",
    "Visitors were always told to {doing} as they pleased but {rule}.",
    "An old custom of the region says: {rule}.",
    "For as long as anyone could think back, the rule had been simple: {rule}.",
    "{protagonist} wrote it on the wall so that {companion} would not forget: {rule}.",
    "A letter from the {temper} {person_word} closed with a request: {rule}.",
    "Each {moment} {companion} said the same words, {rule}, and then made tea.",
)
OBJECT = (
    "Under the {thing_word} {protagonist} noticed {object}, which belonged to nobody.",
    "{companion} bought {object} from {a:temper} {person_word} for the price of some {food_word}.",
    "Next to the {food_word} somebody had left {object}, and {companion} picked it up {manner}.",
    "Then {a:animal_word} ran past, and behind it {protagonist} found {object}.",
    "On the table stood {object} between the {food_word} and the {look} plates.",
    "{protagonist} needed {object} for the work, so they looked in every drawer.",
    "All they had brought was {object}, some {food_word} and {a:look} blanket.",
    "The {person_word} came by with {object} and asked {companion} to look after it.",
    "After lunch {the_object} was missing, and {companion} searched the {place_word} for it.",
    "They cleaned {the_object} {manner} and set it near the window.",
    "{companion} kept asking about {the_object}, but {protagonist} only shrugged.",
    "It was {protagonist} who carried {the_object} everywhere that {season}.",
    "Inside {a:material} box there was {object}, wrapped in {colour} paper.",
    "One {moment} a parcel came, and when they untied it they saw {object}.",
)
MIDDLE = (
    "{protagonist} thought about it for a while and went out to {doing}.",
    "{companion} made a dish of {food_word}, and they ate it {manner} while the {sky} passed.",
    "The next {moment} was {weather}, and {protagonist} and {companion} walked as far as the {place_word}.",
    '"What do you think?" asked {companion}, but {protagonist} had fallen asleep.',
    "{companion} was {feeling}, and {protagonist} told a joke about {a:animal_word}.",
    "For some days {protagonist} did nothing but {doing}.",
    "Meanwhile {companion} asked the {person_word}, the {person_word} and even the {animal_word}.",
    "{protagonist} drew a map with {a:place_word}, {a:place_word} and a small cross.",
    "One {moment} {companion} heard {a:animal_word} and sat up {manner}.",
    "Then the {sky} came, so {companion} shut the {colour} door.",
    "{protagonist} counted the steps to the {place_word}, as {companion} had asked.",
    "They waited by the {place_word} until {companion} was {feeling}.",
)
TWIST = (
    "By and by it came out that {twist}.",
    "On the last day the {person_word} told them that {twist}.",
    "Nobody had guessed the reason, which was that {twist}.",
    "{companion} read the old papers and found that {twist}.",
    "It took {protagonist} a week to understand that {twist}.",
    "Only then did they learn that {twist}.",
    "A postcard arrived {manner} late and explained that {twist}.",
    "The truth was a different one: {twist}.",
    "When the {sky} had gone, it was easy to see that {twist}.",
    '"You should know," said the {temper} {person_word}, "that {twist}."',
    "As {protagonist} was about to leave, a child said that {twist}.",
    "In the end {companion} could prove that {twist}.",
    "They looked at each other, for now it was clear that {twist}.",
    "There was a simple answer to it all, namely that {twist}.",
)
ENDING = (
    "{protagonist} nodded, put on {a:look} coat and took the road to the {place_word}.",
    "{companion} laughed about it for years, and {protagonist} did too.",
    "So {protagonist} and {companion} packed their things and had some {food_word}.",
    "Afterwards {companion} wrote everything down, and {protagonist} checked the spelling.",
    "{protagonist} still lives there, and on {weather} days {companion} comes to {doing}.",
    "They said goodbye at the {place_word}, where {companion} gave {protagonist} {a:look} {thing_word}.",
    "Neither {protagonist} nor {companion} was {feeling} about it, and the {season} went on.",
    "Since then {companion} has looked at every {thing_word} twice.",
    "With that the matter was closed, and {protagonist} went to bed early.",
    "{companion} told the {person_word}, who told the whole town about {protagonist}.",
    "It was time for supper, and {protagonist} set the table for {companion}.",
    "Years later {protagonist} would think of {companion} whenever it was {weather}.",
)
CLOSING_TITLE = (
    "{protagonist} told {companion} to call the story {title}, and so it is called.",
    "That was {title}, as {companion} used to tell it.",
    "{companion} made a song of it, {title}, which {protagonist} hums while at work.",
    "And because of all this the house of {protagonist} now has the name {title}.",
    "If {protagonist} ever writes a book about it, its name will be {title}.",
    "Such was {title}, and {companion} swears that every word is true.",
    "The {person_word} named a boat {title} in memory of {protagonist}.",
    "{companion} painted two words or more over the door, {title}, and went home.",
    "This is how {title} ended for {companion} and {protagonist}.",
    "So much for {title}; {protagonist} and {companion} have other stories to tell.",
    "At the fair {protagonist} recites {title} for a bowl of {food_word}.",
    "They gave it the name {title}, and {companion} never told it again.",
)
# Orders of the frames above; each uses every slot at least once.
LAYOUTS = (
    (TITLE_SCENE, RULE, OBJECT, MIDDLE, TWIST, ENDING),
    (TITLE_SCENE, RULE, OBJECT, MIDDLE, TWIST, ENDING),
    (TITLE_SCENE, OBJECT, RULE, MIDDLE, TWIST, ENDING),
    (TITLE_SCENE, RULE, OBJECT, TWIST, ENDING),
    (SCENE, TITLE_ONLY, RULE, OBJECT, TWIST, ENDING),
    (SCENE, OBJECT, MIDDLE, RULE, TWIST, CLOSING_TITLE),
    (SCENE, RULE, OBJECT, TWIST, CLOSING_TITLE),
)

# Drills: "list" is the labelled list, "again" has the same order, "backwards" the reverse.
DRILL_LABELS = (
    "A list",
    "Found",
    "In the notebook",
    "Seen today",
    "To remember",
    "Wanted",
    "Words",
    "Written down",
)
DRILLS = (
    "{label}: {list}.\nAgain: {again}.",
    "{label}: {list}.\nThe same once more: {again}.",
    "{label}: {list}.\nBackwards: {backwards}.",
    "{label}: {list}.\nFrom last to first: {backwards}.",
    "{label}: {list}.\nThe first is {first} and the last is {last}.",
    "{label}: {list}.\n{keeper} read them out: {again}.",
)

SENTENCES = (
    *(sentence for position in (OPENINGS, DETAILS, CLOSINGS) for sentence in position),
    *(sentence for arc in ARCS.values() for position in arc for sentence in position),
    *(sentence for layout in LAYOUTS for position in layout for sentence in position),
)
