"""Short passages, twelve of horror and twelve for children, that the dread rule has to order."""

HORROR = (
    "The lighthouse had been dark for eleven nights when we rowed across. The keeper's table was laid for three, and "
    "mould had crept over the bread. We called up the stair and something answered, hoarse and slow, in the keeper's own "
    "voice, though the keeper lay at our feet with his throat opened and his pale hands folded like a child asleep.",
    "I have not slept since they bricked up the chapel. In the small hours there is a scratching behind the plaster, "
    "patient as a clock, and with it a murmur that is almost prayer. My wife hears nothing. She only stares at the wall "
    "with her lips moving, and this morning I found lime beneath her fingernails.",
    "At the edge of the pit the surveyor dropped his lantern and did not stoop for it. He had seen, he told us later, "
    "a staircase, worn hollow by use, descending into blackness. The steps were far too tall for any human limb. He "
    "died within the month, raving of a hunger that slept beneath the hills and was beginning to dream of us.",
    "The baby monitor crackled at ten past three. I heard breathing, then a whisper, very close to the microphone: hush "
    "now, hush, she is watching us. I ran down the hallway. The crib was empty and cold. Behind me, in the dark of the "
    "closet, someone began to hum.",
    "They carried the coffin twice round the churchyard, as the custom was, and each of the bearers afterwards swore "
    "that the weight had shifted. The priest would not have it opened. That evening the sexton, alone among the graves, "
    "put his ear to the fresh clay, and he was white and trembling when they led him home, and he never spoke again.",
    "Her portrait had been painted in the year of the plague, and no servant would dust it. The eyes were merciless. I "
    "laughed at such superstition until the fever took me, and I lay helpless beneath that gaze, and saw, night after "
    "night, the narrow mouth grow redder, and the stain spread along the bottom of the frame.",
    "Nobody answered the radio from the ice station, so four of us went out. The huts were locked from within. Through the "
    "window I could see the crew at breakfast, upright, frost upon their eyelids, every face twisted toward the door. "
    "There were nine of them. The roll had only eight names. The ninth slowly turned its head.",
    "When the fog comes in from the marsh we bar the shutters and stop the children's ears. It has the voices of the "
    "drowned in it. My sister's was there last autumn, sobbing to be let in, and my father stood with his hand upon the "
    "latch until dawn. In the morning there was a trail of black weed leading up to the sill, and away.",
    "The anatomist worked by a single candle. He had bought the body cheaply and asked no questions, for the men who sold "
    "it were afraid of something and glad to be gone. As the blade touched the breast he felt a faint, regular shudder "
    "travel up the steel. He bent to listen. A cold hand closed without haste upon his wrist.",
    "There is one room in the hotel that isn't on the plan. I found it during the storm, when the corridor lights failed "
    "and I counted doors with my fingers. Inside was a mirror and a chair. The man in the mirror was bound to the "
    "chair, screaming without any sound, and he was wearing my clothes.",
    "It was my uncle's habit to walk in the yew alley after dusk, and we supposed that the second figure, a little behind "
    "him, was the gardener. But the gardener had been a fortnight in the hospital. On the last evening it was no longer "
    "behind him. It had its arm through his, and its head, which was a wretched, unfinished thing, lay on his shoulder.",
    "The villagers gave us beds but begged us to be silent after midnight. We heard it pass: a heavy, dragging tread, and "
    "a stench of the tomb that made the horses scream. In the square next day lay what was left of the shepherd. The old "
    "women did not weep. They swept the stones, and chalked another mark upon the door of the church.",
)

CHILDREN = (
    "Milo the mole had lost his red scarf. He looked under the leaves and behind the big mushroom. A friendly beetle "
    "said, I saw a robin with something red! Up in the apple tree the robin had made a cosy nest of it for her chicks. "
    "Milo laughed. Keep it, he said, and the robin sang him the sweetest song he had ever heard.",
    "Anna and her grandpa baked a cake for the party. Anna cracked the eggs and grandpa stirred the flour. Oops! There was "
    "flour on his nose, and Anna giggled until her tummy hurt. When the cake was ready they put strawberries on top and "
    "shared it with all the neighbours.",
    "There was once a little tugboat named Pip who was afraid of the night. The waves were black and the wind howled. "
    "Then the kind old lighthouse winked at him. I am always here, it said. Pip tooted his horn with joy, and from that "
    "day on he was the bravest boat in the harbour.",
    "The bear cubs woke up, and the snow was gone! Mother Bear took them to the meadow, where there were butterflies and "
    "yellow flowers. They rolled down the hill and splashed in the brook. In the evening they ate berries with honey and "
    "fell asleep in a warm heap.",
    "Tilly wanted a puppy more than anything. On her birthday there was a basket by the door, and the basket wagged! Out "
    "popped a small brown nose. Tilly hugged the puppy and named him Biscuit. They played ball in the garden until it "
    "was time for supper.",
    "A clever mouse lived in a toy shop. When the doors were shut and the moon was up, the dolls danced and the tin drummer "
    "drummed, and the mouse drove the little train round and round. Before the sun rose they all tidied up, so that "
    "nobody ever knew. What fun they had!",
    "Sam dropped his ice cream and began to cry. His friend Lucy looked at her own cone. Then she smiled and said, we can "
    "share mine. They sat on the swing together and took turns. Sam was happy again. Thank you, he said, you are the best "
    "friend in the world.",
    "The princess did not want a crown. She wanted to learn to bake bread. So every morning she put on an apron and "
    "skipped down to the bakery, and the baker taught her to make buns with raisins. At the midsummer feast the king ate "
    "seven of them and declared that he was the proudest father in the kingdom.",
    "Hop, hop, hop went the frog. Where are you going? asked the duck. To see the rainbow! said the frog. So the duck came "
    "too, and the lamb, and the two piglets. They sat in a row upon the fence, and the rainbow was pink and gold and "
    "green, and everybody clapped.",
    "A dark cloud was crying over the village. Why are you so sad? asked the children. I spoil your picnics, said the "
    "cloud. But you water our gardens! they said, and they showed it the beans and the roses and the puddles they loved "
    "to jump in. The cloud turned white with pleasure and floated off, humming a merry tune.",
    "In the night Ben heard a growl under his bed. He was scared, but he took his torch and peeped. It was only Whiskers "
    "the kitten, who had a tummy ache! Ben gave her some warm milk and stroked her soft fur until she purred. Then they "
    "cuddled up together, and mum tucked them both in.",
    "The old witch at the end of the lane was not wicked at all. She made jam. The children brought her plums and cherries "
    "and she let them lick the spoon, and while the pots bubbled she told funny stories about her broom, who was "
    "frightened of heights. They went home with sticky fingers and a jar each.",
)
